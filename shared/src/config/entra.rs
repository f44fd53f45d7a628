//! Microsoft Entra ID's part of the configuration: one tenant, or several that are named.

use super::provider::is_https;
use super::raw::{Fault, Fields};
use super::resolve::fault;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Endpoints that tenants share, or that anybody can get an account at.
const SHARED_ENDPOINTS: [&str; 3] = ["common", "organizations", "consumers"];

/// The tenant of personal Microsoft accounts: `consumers` by its id. Everybody is at home there, under any name.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// More hosts where Microsoft signs people in, none of which is an authority here.
const OTHER_HOSTS: [&str; 3] = ["sts.windows.net", "sts.chinacloudapi.cn", "login.usgovcloudapi.net"];

/// A national cloud: where it signs people in, other names of that place, its Graph, and the issuer of v1.0 tokens up to
/// the tenant's id. Tokens are issued in the name of `authority` whichever name was asked.
/// <https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>
struct Cloud {
    authority: &'static str,
    aliases: &'static [&'static str],
    graph: &'static str,
    issuer_v1: &'static str,
}

const GLOBAL: Cloud = Cloud {
    authority: "https://login.microsoftonline.com",
    aliases: &["https://login.windows.net", "https://login.microsoft.com"],
    graph: "https://graph.microsoft.com",
    issuer_v1: "https://sts.windows.net",
};
const GOVERNMENT: Cloud = Cloud {
    authority: "https://login.microsoftonline.us",
    aliases: &[],
    graph: "https://graph.microsoft.us",
    issuer_v1: "https://sts.windows.net",
};
const CHINA: Cloud = Cloud {
    authority: "https://login.partner.microsoftonline.cn",
    aliases: &["https://login.chinacloudapi.cn"],
    graph: "https://microsoftgraph.chinacloudapi.cn",
    issuer_v1: "https://sts.chinacloudapi.cn",
};

static CLOUDS: [Cloud; 3] = [GLOBAL, GOVERNMENT, CHINA];

/// A tenant's id: a GUID, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TenantId(String);

impl TenantId {
    /// `None` for anything but 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        let digits = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
        (digits && lengths == [8, 4, 4, 4, 12]).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The tenant of personal Microsoft accounts, where anybody is at home.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.0 == PERSONAL
    }

    /// The GUID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `tenant_id`: whose endpoints are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// One tenant's, by its id.
    Id(TenantId),
    /// One tenant's, by one of its verified domains; discovery tells its id.
    Domain(String),
    /// Those that every tenant shares.
    Shared(String),
}

impl Tenant {
    /// As it stands in the path of an endpoint.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::Domain(name) | Self::Shared(name) => name,
        }
    }
}

/// Microsoft Entra ID, as this machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entra {
    /// Whose endpoints are asked.
    pub tenant: Tenant,
    /// Who may vouch for people, and for names of which domains; no domain means any. Empty only where `tenant` is a
    /// domain: the tenant behind it is meant then.
    pub allowed_tenants: BTreeMap<TenantId, Vec<String>>,
    /// People whose home is another tenant may come in.
    pub allow_guests: bool,
    /// Origin of the endpoints, such as `https://login.microsoftonline.com`.
    pub authority: String,
    /// Origin of Microsoft Graph.
    pub graph: String,
    /// Origin of the issuer in v2.0 tokens.
    pub issuer: String,
    /// Origin of the issuer in v1.0 tokens.
    pub issuer_v1: String,
}

/// Is the provider Microsoft Entra ID? `token_url` is `oauth_token_url` as written: configurations of the earlier module
/// may show it by nothing else.
pub(super) fn selects_entra(fields: &Fields, token_url: Option<&str>) -> bool {
    let at_microsoft = |url: &str| cloud_of(url).is_some();
    let keys = ["tenant_id", "allowed_tenants", "azure_authority", "graph_url", "allow_guests"];
    keys.iter().any(|key| fields.has(key))
        || token_url.is_some_and(at_microsoft)
        || fields.peek("issuer").is_some_and(|issuer| at_microsoft(&issuer) || is_other_host(&issuer))
}

/// The Entra keys, where Entra is selected.
pub(super) fn entra(fields: &mut Fields, token_url: Option<&str>) -> Option<Entra> {
    exclude(fields);
    let authority = origin(fields, "azure_authority")
        .or_else(|| token_url.and_then(cloud_of).map(|(authority, _)| authority.to_owned()))
        .unwrap_or_else(|| GLOBAL.authority.to_owned());
    same_authority(fields, &authority);
    let cloud = cloud_of(&authority).map(|(_, cloud)| cloud);
    let graph = origin(fields, "graph_url").or_else(|| cloud.map(|cloud| cloud.graph.to_owned()));
    if graph.is_none() && !fields.has("graph_url") {
        fields
            .faults
            .push(Fault::Conflict("with this \"azure_authority\", \"graph_url\" must be given".into()));
    }
    let tenant = tenant(fields);
    let allowed_tenants = allowed_tenants(fields);
    let tenant = tenant?;
    let allowed_tenants = trusted(fields, &tenant, allowed_tenants?)?;
    let allow_guests = fields.boolean("allow_guests", false);
    if allow_guests && (allowed_tenants.is_empty() || allowed_tenants.values().any(Vec::is_empty)) {
        let text = "\"allow_guests\" needs the domains of each tenant in \"allowed_tenants\": a guest brings the name from \
                    home, and must not take a member's";
        fields.faults.push(Fault::Conflict(text.into()));
    }
    claims_of_one_tenant(fields, &allowed_tenants);
    Some(Entra {
        tenant,
        allowed_tenants,
        allow_guests,
        issuer: cloud.map_or_else(|| authority.clone(), |cloud| cloud.authority.to_owned()),
        authority,
        graph: graph?,
        issuer_v1: cloud.unwrap_or(&GLOBAL).issuer_v1.to_owned(),
    })
}

/// What Entra does not have, or what says the same twice.
fn exclude(fields: &mut Fields) {
    for (key, reason) in [
        ("issuer", "Microsoft Entra ID is configured by \"tenant_id\", which gives the issuer"),
        ("oauth_token_introspect_url", "Microsoft Entra ID has no introspection"),
    ] {
        if fields.has(key) {
            fields.faults.push(Fault::Conflict(format!("remove \"{key}\": {reason}")));
        }
    }
    if fields.peek("validation").as_deref() == Some("introspection") {
        let text = "Microsoft Entra ID has no introspection: \"validation\" must be \"id_token\"";
        fields.faults.push(Fault::Conflict(text.into()));
    }
}

/// Codes, secrets and tokens go to one party: the one that signs.
fn same_authority(fields: &mut Fields, authority: &str) {
    for key in ["oauth_device_url", "oauth_token_url"] {
        let elsewhere = |url: &String| !is_below(url, authority);
        if fields.peek(key).as_ref().is_some_and(elsewhere) {
            let text = format!("\"{key}\" is not at {authority}, the \"azure_authority\"");
            fields.faults.push(Fault::Conflict(text));
        }
    }
}

/// `oid` and `tid` come with the scope profile; ids of roles mean something in their own tenant only.
fn claims_of_one_tenant(fields: &mut Fields, allowed: &BTreeMap<TenantId, Vec<String>>) {
    if let Some(scope) = fields.peek("scope").or_else(|| fields.peek("scopes"))
        && !["openid", "profile"]
            .iter()
            .all(|wanted| scope.split_ascii_whitespace().any(|one| one == *wanted))
    {
        let text = "Microsoft Entra ID says who somebody is only when \"scope\" holds openid and profile";
        fields.faults.push(Fault::Conflict(text.into()));
    }
    if allowed.len() > 1 && fields.peek("groups_claim").is_some_and(|claim| claim != "groups") {
        let text = "with several \"allowed_tenants\" only the groups claim \"groups\" can be used: another tenant's \
                    administrators give out its roles as they like";
        fields.faults.push(Fault::Conflict(text.into()));
    }
}

fn tenant(fields: &mut Fields) -> Option<Tenant> {
    let Some(text) = fields.text("tenant_id") else {
        // The earlier module's default.
        return if fields.has("tenant_id") { None } else { Some(Tenant::Shared("common".into())) };
    };
    let text = text.to_ascii_lowercase();
    if SHARED_ENDPOINTS.contains(&text.as_str()) {
        return Some(Tenant::Shared(text));
    }
    match TenantId::parse(&text) {
        Some(id) if id.is_personal() => Some(Tenant::Shared("consumers".into())),
        Some(id) => Some(Tenant::Id(id)),
        None if is_domain(&text) => Some(Tenant::Domain(text)),
        None => {
            fault(fields, "tenant_id", "a tenant's id (a GUID) or domain, \"common\" or \"organizations\"")
        }
    }
}

/// `{"GUID": ["domain", …]}`, or `["GUID"]`.
fn allowed_tenants(fields: &mut Fields) -> Option<BTreeMap<TenantId, Vec<String>>> {
    let expected = "an object of at least one tenant id (a GUID), each once and with a list of its domains";
    let pairs = match fields.array("allowed_tenants") {
        Some(ids) => ids.into_iter().map(|id| (id, Value::Array(Vec::new()))).collect(),
        None => fields.object("allowed_tenants"),
    };
    let mut allowed = BTreeMap::new();
    for (id, domains) in pairs {
        let one = TenantId::parse(&id).zip(domains_of(&domains));
        // The same GUID in capitals is the same tenant: which of two lists counts would be a matter of luck.
        if one.is_none_or(|(id, domains)| allowed.insert(id, domains).is_some()) {
            return fault(fields, "allowed_tenants", expected);
        }
    }
    if allowed.is_empty() && fields.has("allowed_tenants") {
        return fault(fields, "allowed_tenants", expected);
    }
    Some(allowed)
}

fn domains_of(value: &Value) -> Option<Vec<String>> {
    let domain = |value: &Value| value.as_str().filter(|text| is_domain(text)).map(str::to_ascii_lowercase);
    value.as_array()?.iter().map(domain).collect()
}

/// Whom a token is believed from. A tenant's administrators write any name they like into their own directory, so that
/// names are only safe where each domain is one tenant's.
fn trusted(
    fields: &mut Fields,
    tenant: &Tenant,
    mut allowed: BTreeMap<TenantId, Vec<String>>,
) -> Option<BTreeMap<TenantId, Vec<String>>> {
    let mut refuse = |text: String| {
        fields.faults.push(Fault::Conflict(text));
        None
    };
    match tenant {
        Tenant::Id(id) if allowed.is_empty() => {
            allowed.insert(id.clone(), Vec::new());
        }
        Tenant::Id(id) if !allowed.contains_key(id) => {
            return refuse(format!("\"allowed_tenants\" does not name {id}, the \"tenant_id\""));
        }
        Tenant::Shared(name) if allowed.is_empty() => {
            return refuse(format!(
                "\"allowed_tenants\" must name who is trusted: at \"{name}\", which is also what no \"tenant_id\" \
                 means, any of Microsoft's customers can sign in under any name"
            ));
        }
        _ => {}
    }
    if allowed.iter().any(|(id, domains)| id.is_personal() && domains.is_empty()) {
        return refuse(format!(
            "anybody can be at home in the tenant {PERSONAL}: \"allowed_tenants\" must name its domains"
        ));
    }
    let domains: Vec<&String> = allowed.values().flatten().collect();
    let twice =
        domains.iter().enumerate().any(|(n, domain)| domains.iter().skip(n + 1).any(|other| other == domain));
    if allowed.len() > 1 && (twice || allowed.values().any(Vec::is_empty)) {
        return refuse(
            "with several \"allowed_tenants\" each needs its own domains, or two of them could name one person".into(),
        );
    }
    Some(allowed)
}

/// An origin: scheme and host, no path.
fn origin(fields: &mut Fields, key: &str) -> Option<String> {
    let text = fields.text(key)?.to_ascii_lowercase();
    let origin = text.strip_suffix('/').unwrap_or(&text);
    let origin = origin.strip_suffix(":443").unwrap_or(origin);
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let is_host = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    if is_https(origin) && is_host {
        Some(origin.to_owned())
    } else {
        fault(fields, key, "an https URL without a path")
    }
}

/// The cloud at `url`, under the name it has there.
fn cloud_of(url: &str) -> Option<(&'static str, &'static Cloud)> {
    CLOUDS.iter().find_map(|cloud| {
        let mut names = std::iter::once(&cloud.authority).chain(cloud.aliases);
        names.find(|name| is_below(url, name)).map(|name| (*name, cloud))
    })
}

fn is_other_host(url: &str) -> bool {
    let host = host(url);
    OTHER_HOSTS.contains(&host.as_str()) || host.ends_with(".ciamlogin.com")
}

/// The URL is at this origin.
fn is_below(url: &str, origin: &str) -> bool {
    host(url) == host(origin)
}

/// Host and port, as they can be compared: `:443` and a final dot change nothing.
fn host(url: &str) -> String {
    let url = url.to_ascii_lowercase();
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = host.strip_suffix(":443").unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_owned()
}

/// Labels of letters, digits and hyphens, at least two of them.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.contains('.') && text.len() <= 253 && text.split('.').all(label)
}
