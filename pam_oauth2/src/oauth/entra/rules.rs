//! Whom a verified token of Entra may speak for.

use super::is_true;
use crate::oauth::id_token::{TokenFault, Verified};
use crate::oauth::verified::ClaimMap;
use serde_json::Value;
use shared::config::{Entra, TenantId};
use shared::text::printable;
use std::collections::BTreeMap;

/// Why a token that Entra has signed lets nobody in here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntraFault {
    /// `tid` is not one of `allowed_tenants`.
    #[error("the person signed in at the tenant {0}, which is not among allowed_tenants")]
    Tenant(TenantId),
    /// The name is of a domain that `allowed_tenants` does not give to the tenant.
    #[error("the tenant {tenant} vouches for \"{name}\", whose domain allowed_tenants does not give to it")]
    Domain {
        /// `tid`.
        tenant: TenantId,
        /// The asserted name, printable.
        name: String,
    },
    /// A guest under a name of a domain that belongs to an allowed tenant.
    #[error("a guest of the tenant has the name \"{0}\", whose domain is that of members")]
    MembersName(String),
    /// A guest, and `allow_guests` is not set.
    #[error("the person is a guest of the tenant ({0}), and allow_guests is not set")]
    Guest(&'static str),
}

/// Which tenants are believed, and how their tokens call their issuer.
#[derive(Clone, Debug)]
pub(in crate::oauth) struct Trust {
    tenants: BTreeMap<TenantId, Vec<String>>,
    allow_guests: bool,
    issuer: String,
    issuer_v1: String,
}

impl Trust {
    /// The tenants that the configuration names.
    pub(super) fn of(entra: &Entra) -> Self {
        Self {
            tenants: entra.allowed_tenants.clone(),
            allow_guests: entra.allow_guests,
            issuer: entra.issuer.clone(),
            issuer_v1: entra.issuer_v1.clone(),
        }
    }

    /// One tenant, found out.
    pub(super) fn in_one(entra: &Entra, tenant: TenantId) -> Self {
        Self { tenants: [(tenant, Vec::new())].into(), ..Self::of(entra) }
    }

    /// The tenants that the configuration names, or the one given where it names a domain, which only discovery resolves.
    pub(in crate::oauth) fn for_tenant(entra: &Entra, tenant: TenantId) -> Self {
        if entra.allowed_tenants.is_empty() { Self::in_one(entra, tenant) } else { Self::of(entra) }
    }

    /// The issuer that a person of this tenant is bound to, whichever form their tokens have.
    pub(in crate::oauth) fn issuer_of(&self, tenant: &TenantId) -> String {
        let [v2, _] = self.forms(tenant);
        v2
    }

    fn forms(&self, tenant: &TenantId) -> [String; 2] {
        [format!("{}/{tenant}/v2.0", self.issuer), format!("{}/{tenant}/", self.issuer_v1)]
    }

    /// The tenant that the token speaks for: `iss` is its issuer, and the key was one for it.
    ///
    /// # Errors
    /// The token's `tid`, `iss` and key do not go together.
    pub(in crate::oauth) fn tenant(&self, token: &Verified) -> Result<TenantId, TokenFault> {
        let claims = &token.claims;
        let tenant = claims.get("tid").and_then(Value::as_str).and_then(TenantId::parse);
        let tenant = tenant.ok_or(TokenFault::Claim("tid"))?;
        let forms = self.forms(&tenant);
        if !claims.get("iss").is_some_and(|iss| forms.iter().any(|form| iss == form)) {
            return Err(TokenFault::Issuer);
        }
        let of_the_key =
            token.key_issuer.as_ref().map(|issuer| issuer.replace("{tenantid}", tenant.as_str()));
        if of_the_key.is_some_and(|issuer| !forms.contains(&issuer)) {
            return Err(TokenFault::KeyIssuer);
        }
        Ok(tenant)
    }

    /// May this tenant vouch for this person under this name?
    ///
    /// # Errors
    /// The rule that says no.
    pub(in crate::oauth) fn admits(
        &self,
        tenant: &TenantId,
        claims: &ClaimMap,
        name: &str,
    ) -> Result<(), EntraFault> {
        let domains = self.tenants.get(tenant).ok_or_else(|| EntraFault::Tenant(tenant.clone()))?;
        let domain = name.rsplit_once('@').map_or("", |(_, domain)| domain);
        let is_of = |domains: &Vec<String>| domains.iter().any(|own| own.eq_ignore_ascii_case(domain));
        let shown = || printable(name, 64);
        match self.guest(tenant, claims, name) {
            Some(sign) if !self.allow_guests => Err(EntraFault::Guest(sign)),
            // A guest's name comes from home, where it may be anything.
            Some(_) if self.tenants.values().any(is_of) => Err(EntraFault::MembersName(shown())),
            None if !domains.is_empty() && !is_of(domains) => {
                Err(EntraFault::Domain { tenant: tenant.clone(), name: shown() })
            }
            _ => Ok(()),
        }
    }

    /// What shows that the person's home is elsewhere. `idp` is left out for those at home; `acct` is an optional claim.
    fn guest(&self, tenant: &TenantId, claims: &ClaimMap, name: &str) -> Option<&'static str> {
        let forms = self.forms(tenant);
        if claims.get("idp").is_some_and(|idp| !forms.iter().any(|form| idp == form)) {
            return Some("idp");
        }
        if claims.get("acct").is_some_and(|acct| acct != 0 && acct != "0") {
            return Some("acct");
        }
        let names = ["preferred_username", "upn", "unique_name"]
            .into_iter()
            .filter_map(|claim| claims.get(claim)?.as_str());
        let is_external = |name: &str| name.to_ascii_uppercase().contains("#EXT#");
        names.chain([name]).any(is_external).then_some("#EXT#")
    }
}

/// Did the person's groups not fit into the token? (`_claim_names` and `_claim_sources`, OpenID Connect Core §5.6.2; the
/// address in them is of a service that was switched off, so that ours is asked instead.)
pub(in crate::oauth) fn overage(claims: &ClaimMap, groups_claim: &str) -> bool {
    let elsewhere = |names: &Value| names.get(groups_claim).is_some();
    claims.get("_claim_names").is_some_and(elsewhere)
        || groups_claim == "groups" && is_true(claims, "hasgroups")
}
