"""The kinds of client a Linux machine can be registered as."""

from oauth2_provider.models import Application

SECRET = "linux-login-test-secret"


def register():
    _add("linux-login", client_type=Application.CLIENT_PUBLIC)
    _add("linux-login-secret", client_secret=SECRET)
    # An HMAC under the client secret: of one stored as it is, and of at least 256 bits.
    _add("linux-login-hmac", client_secret=SECRET * 2, hash_client_secret=False,
         algorithm=Application.HS256_ALGORITHM)


def _add(client_id, client_type=Application.CLIENT_CONFIDENTIAL, algorithm=Application.RS256_ALGORITHM,
         **more):
    Application.objects.create(
        client_id=client_id, name=client_id, client_type=client_type, algorithm=algorithm,
        authorization_grant_type=Application.GRANT_DEVICE_CODE, **more,
    )
