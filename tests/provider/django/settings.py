"""Django with django-oauth-toolkit as it comes, and what a site has to say itself.

PROVIDER_STATE     the directory with signing.pem and the database
PROVIDER_ISSUER    https://host:port of the site
PROVIDER_INTERVAL  seconds between two polls
PROVIDER_ID_TOKEN  "yes": the site adds an id_token to the device grant (id_token.py)
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

STATE = Path(os.environ["PROVIDER_STATE"])
SITE = os.environ["PROVIDER_ISSUER"]

SECRET_KEY = secrets.token_hex(32)
ALLOWED_HOSTS = [urlsplit(SITE).hostname]
ROOT_URLCONF = "urls"
LOGIN_URL = "/login/"
STATIC_URL = "/static/"
USE_TZ = True

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",  # says how long an answer is
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
AUTHENTICATION_BACKENDS = ["people.AnyPassword"]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "DIRS": [Path(__file__).resolve().parent / "templates"],
    "APP_DIRS": True,
}]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": STATE / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The tables as the models have them now; to replay how they became so takes seconds.
MIGRATION_MODULES = {"auth": None, "contenttypes": None, "oauth2_provider": None}
# Client secrets are stored like passwords, and a good hash would cost each poll half a second.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

LOGGING = {
    "version": 1,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}

OAUTH2_PROVIDER = {
    "OIDC_ENABLED": True,
    "OIDC_RSA_PRIVATE_KEY": (STATE / "signing.pem").read_text(),
    "OAUTH2_VALIDATOR_CLASS": "claims.Claims",
    "SCOPES": {"openid": "Sign in", "profile": "Name", "groups": "Groups"},
    "OAUTH_DEVICE_VERIFICATION_URI": f"{SITE}/o/device/",
    "DEVICE_FLOW_INTERVAL": int(os.environ["PROVIDER_INTERVAL"]),
}
if os.environ["PROVIDER_ID_TOKEN"] == "yes":
    OAUTH2_PROVIDER["OAUTH2_SERVER_CLASS"] = "id_token.Server"
