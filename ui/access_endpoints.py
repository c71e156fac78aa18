"""The named endpoints for keys, limits and invitations, all with the admin's token. docs/endpoints.md lists them."""

from dataclasses import asdict
from typing import Any

import gradio as gr

from service import admission, keys
from service.context import Services
from service.invitations import InvitationsRequest, invitations
from service.keys import KeyRequest, RevokeRequest
from service.requests import checked
from ui.errors import with_plain_errors


def register(services: Services) -> None:
    """Register the endpoints on the Blocks being built."""

    @with_plain_errors
    def keys_endpoint(token: str) -> dict[str, Any]:
        """Return all keys, the newest first, without the keys themselves."""
        return {"keys": [keys.to_json(key) for key in keys.keys(services, token)]}

    @with_plain_errors
    def make_key_endpoint(token: str, name: str) -> dict[str, Any]:
        """Return a new key, which cannot be read again."""
        services.admin.require(token)
        made = keys.make_key(services, token, checked(KeyRequest, name=name))
        return {"key": made.secret, **keys.to_json(made.stored)}

    @with_plain_errors
    def revoke_key_endpoint(token: str, key_id: int) -> dict[str, Any]:
        """Revoke a key."""
        services.admin.require(token)
        return keys.to_json(keys.revoke_key(services, token, checked(RevokeRequest, key_id=key_id)))

    @with_plain_errors
    def limits_endpoint(token: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """Change some limits, or with null read them."""
        return asdict(admission.limits(services, token, settings))

    @with_plain_errors
    def invitations_endpoint(
        token: str,
        act: str = "list",
        role: str = "annotator",
        note: str = "",
        id: int | None = None,  # noqa: A002, as callers name it
    ) -> dict[str, Any]:
        """List invitations, make or revoke one, or switch roles "on" or "off"."""
        services.admin.require(token)
        asked = checked(InvitationsRequest, act=act, role=role, note=note, id=id)
        return invitations(services, token, asked).to_json()

    gr.api(invitations_endpoint, api_name="invitations")
    gr.api(keys_endpoint, api_name="keys")
    gr.api(make_key_endpoint, api_name="make_key")
    gr.api(revoke_key_endpoint, api_name="revoke_key")
    gr.api(limits_endpoint, api_name="limits")
