"""An id_token for the device grant.

The toolkit sends none: its server is `oauthlib.openid.Server`, whose device grant is plain OAuth 2.0
(oauthlib/oauth2/rfc8628/grant_types/device_code.py, create_token_response). A site that wants one says so
with OAUTH2_SERVER_CLASS. What the token holds, and its signature, are oauthlib's and the toolkit's own.
"""

import oauthlib.openid
from oauthlib.oauth2.rfc8628.grant_types import DeviceCodeGrant
from oauthlib.openid.connect.core.grant_types.base import GrantTypeBase

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


class Server(oauthlib.openid.Server):
    def __init__(self, validator, *arguments, **settings):
        super().__init__(validator, *arguments, **settings)
        self.grant_types[DEVICE_CODE] = _OpenIdDeviceGrant(validator, **settings)


class _OpenIdDeviceGrant(DeviceCodeGrant):
    add_id_token = GrantTypeBase.add_id_token
    id_token_hash = GrantTypeBase.id_token_hash

    def create_token_response(self, request, token_handler):
        return super().create_token_response(request, _Tokens(self, token_handler))


class _Tokens:
    def __init__(self, grant, bearer):
        self._grant = grant
        self._bearer = bearer

    def create_token(self, request, *arguments, **named):
        token = self._bearer.create_token(request, *arguments, **named)
        return self._grant.add_id_token(token, self._bearer, request)
