"""The people of the second provider. Every name signs in with every password."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User

# Only who is in a group stands here. The three forms have nothing in common, so that a test sees
# which of them was read.
MEMBERSHIPS = {
    "lena": {"groups": ["3f1c-staff", "77aa-unmapped"], "team": "b201-net", "roles": ["operator"]},
}


class AnyPassword(ModelBackend):
    def authenticate(self, request, username=None, password=None, **more):
        return User.objects.get_or_create(username=username)[0]


def memberships(user):
    return {"groups": [], "team": None, "roles": [], **MEMBERSHIPS.get(user.username, {})}
