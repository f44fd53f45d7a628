"""What the provider tells about a person, by the toolkit's own hooks."""

from oauth2_provider.oauth2_validators import OAuth2Validator
from people import memberships


class Claims(OAuth2Validator):
    oidc_claim_scope = {
        **OAuth2Validator.oidc_claim_scope, "groups": "groups", "team": "groups", "realm_access": "groups",
    }

    def get_additional_claims(self, request):
        """For the id_token and userinfo; `sub`, the row's number, is the toolkit's."""
        member_of = memberships(request.user)
        return {
            "preferred_username": request.user.username,
            "groups": member_of["groups"],
            "team": member_of["team"],
            "realm_access": {"roles": member_of["roles"]},
        }

    def get_userinfo_claims(self, request):
        return {**super().get_userinfo_claims(request), "login": request.user.username}
