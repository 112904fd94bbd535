# SPDX-License-Identifier: Apache-2.0
"""The native protocol's face: ``wire`` over HTTP. One file per family of requests.

Each file holds its operations as rows of a table (method, path, function, messages), from which
both the routes and the served OpenAPI document are made. ``app`` puts around them what every
request gets: an id, a bearer token checked, errors told as problems.
"""
