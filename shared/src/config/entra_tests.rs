//! Configurations for Microsoft Entra ID, as an administrator writes them.

use super::tests::{faults, load_text};
use super::*;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";

fn text(more: &str) -> String {
    format!(r#"{{"client_id": "c", "provisioning": "store", {more}}}"#)
}

fn entra(more: &str) -> Entra {
    load_text(&text(more)).unwrap().config.provider.entra.unwrap()
}

fn fault(more: &str) -> String {
    faults(&text(more)).join("; ")
}

#[test]
fn a_tenant_gives_every_endpoint() {
    let loaded = load_text(&text(&format!(r#""tenant_id": "{}""#, TENANT.to_uppercase()))).unwrap().config;
    assert_eq!((loaded.provider.validation, &loaded.provider.device_url), (Validation::IdToken, &None));
    assert_eq!(loaded.mapping.username_claims, ["preferred_username", "upn", "sub"]);
    let entra = loaded.provider.entra.unwrap();
    let tenant = TenantId::parse(TENANT).unwrap();
    assert_eq!(entra.tenant, Tenant::Id(tenant.clone()));
    assert_eq!(entra.allowed_tenants, [(tenant, Vec::new())].into());
    assert_eq!(entra.authority, "https://login.microsoftonline.com");
    assert_eq!(entra.graph, "https://graph.microsoft.com");
    assert!(!entra.allow_guests);
}

#[test]
fn a_sovereign_cloud_is_named_by_its_authority_alone() {
    for (authority, graph, issuer) in [
        ("https://login.microsoftonline.us/", "https://graph.microsoft.us", "https://sts.windows.net"),
        (
            "https://login.partner.microsoftonline.cn",
            "https://microsoftgraph.chinacloudapi.cn",
            "https://sts.chinacloudapi.cn",
        ),
    ] {
        let entra = entra(&format!(r#""tenant_id": "{TENANT}", "azure_authority": "{authority}""#));
        assert_eq!(entra.authority, authority.trim_end_matches('/'));
        assert_eq!((entra.graph.as_str(), entra.issuer_v1.as_str()), (graph, issuer));
    }
    let alias =
        entra(&format!(r#""tenant_id": "{TENANT}", "azure_authority": "https://login.chinacloudapi.cn""#));
    assert_eq!(alias.issuer, "https://login.partner.microsoftonline.cn");
    let unknown = r#""tenant_id": "contoso.com", "azure_authority": "https://login.example.com""#;
    assert!(fault(unknown).contains("\"graph_url\" must be given"));
    let known = entra(&format!(r#"{unknown}, "graph_url": "https://g.example""#));
    assert_eq!(known.graph, "https://g.example");
}

#[test]
fn an_earlier_modules_configuration_for_azure_is_read_as_it_is() {
    let base = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0");
    let written = format!(
        r#""client_secret": "s", "oauth_auth_url": "{base}/authorize", "oauth_device_url": "{base}/devicecode",
           "oauth_token_url": "{base}/token", "scope": "openid profile email offline_access",
           "allowed_groups": ["{OTHER}"], "local_group": "oauth2users""#
    );
    let whole = format!(r#"{{"client_id": "c", {written}, "tenant_id": "{TENANT}"}}"#);
    let loaded = load_text(&whole).unwrap();
    assert_eq!(loaded.config.provider.token_url, Some(format!("{base}/token")));
    assert!(loaded.config.provider.entra.is_some());
    // There "no tenant" meant that everybody at Microsoft was believed.
    assert!(fault(&written).contains("\"allowed_tenants\" must name who is trusted"));
}

#[test]
fn where_everybody_at_microsoft_can_sign_in_the_trusted_tenants_are_named() {
    let personal = r#""tenant_id": "9188040D-6c67-4c5b-b112-36a304b66dad""#;
    for shared in [r#""tenant_id": "common""#, r#""tenant_id": "Organizations""#, personal] {
        assert!(fault(shared).contains("must name who is trusted"), "{shared}");
        let one = entra(&format!(r#"{shared}, "allowed_tenants": ["{TENANT}"]"#));
        assert!(matches!(one.tenant, Tenant::Shared(_)));
        assert_eq!(one.allowed_tenants.len(), 1);
    }
    assert!(fault(&format!(r#""tenant_id": "{TENANT}", "allowed_tenants": null"#)).contains("not null"));
    let personal = r#""tenant_id": "common", "allowed_tenants": ["9188040d-6c67-4c5b-b112-36a304b66dad"]"#;
    assert!(fault(personal).contains("must name its domains"));
}

#[test]
fn several_tenants_need_a_domain_each_that_no_other_has() {
    let several = |a: &str, b: &str| {
        format!(r#""tenant_id": "common", "allowed_tenants": {{"{TENANT}": {a}, "{OTHER}": {b}}}"#)
    };
    let good = entra(&several(r#"["Contoso.com", "contoso.org"]"#, r#"["fabrikam.com"]"#));
    assert_eq!(good.allowed_tenants[&TenantId::parse(TENANT).unwrap()], ["contoso.com", "contoso.org"]);
    for (a, b) in [("[]", r#"["fabrikam.com"]"#), (r#"["contoso.com"]"#, r#"["CONTOSO.com"]"#)] {
        assert!(fault(&several(a, b)).contains("each needs its own domains"));
    }
    let foreign = format!(r#""tenant_id": "{TENANT}", "allowed_tenants": ["{OTHER}"]"#);
    assert!(fault(&foreign).contains("does not name"));
}

#[test]
fn a_restriction_is_never_overridden_by_the_same_tenant_in_other_letters() {
    let capitals = TENANT.to_uppercase();
    for allowed in [
        format!(r#"{{"{capitals}": ["contoso.com"], "{TENANT}": []}}"#),
        format!(r#"["{capitals}", "{TENANT}"]"#),
        "{}".into(),
        "[]".into(),
    ] {
        let written = format!(r#""tenant_id": "{TENANT}", "allowed_tenants": {allowed}"#);
        assert!(fault(&written).contains("\"allowed_tenants\" must be"), "{allowed}");
    }
    let twice =
        format!(r#""tenant_id": "{TENANT}", "allowed_tenants": {{"{TENANT}": ["a.b"], "{TENANT}": []}}"#);
    assert!(fault(&twice).contains("stands twice"));
}

#[test]
fn guests_and_roles_need_to_be_told_from_those_of_others() {
    let tenant = format!(r#""tenant_id": "{TENANT}""#);
    assert!(fault(&format!(r#"{tenant}, "allow_guests": true"#)).contains("must not take a member's"));
    let known =
        format!(r#"{tenant}, "allow_guests": true, "allowed_tenants": {{"{TENANT}": ["contoso.com"]}}"#);
    assert!(entra(&known).allow_guests);
    let roles = format!(
        r#""tenant_id": "common", "groups_claim": "roles",
           "allowed_tenants": {{"{TENANT}": ["contoso.com"], "{OTHER}": ["fabrikam.com"]}}"#
    );
    assert!(fault(&roles).contains("only the groups claim"));
    assert!(fault(&format!(r#"{tenant}, "scope": "openid""#)).contains("holds openid and profile"));
}

#[test]
fn an_issuer_at_microsofts_addresses_is_sent_to_tenant_id() {
    for issuer in [
        "https://login.microsoftonline.com/x/v2.0",
        "https://login.microsoftonline.com:443/x/v2.0",
        "https://LOGIN.microsoftonline.com./x/v2.0",
        "https://sts.windows.net/x/",
        "https://login.usgovcloudapi.net/x",
        "https://contoso.ciamlogin.com/x/v2.0",
    ] {
        assert!(
            fault(&format!(r#""issuer": "{issuer}""#)).contains("configured by \"tenant_id\""),
            "{issuer}"
        );
    }
    let with_port =
        format!(r#""tenant_id": "{TENANT}", "azure_authority": "https://login.microsoftonline.com:443""#);
    assert_eq!(entra(&with_port).graph, "https://graph.microsoft.com");
    for authority in
        ["https://a b", "https://login.microsoftonline.com\\\\x", "https://u@login.microsoftonline.com"]
    {
        let written =
            format!(r#""tenant_id": "{TENANT}", "azure_authority": "{authority}", "graph_url": "https://g""#);
        assert!(fault(&written).contains("\"azure_authority\" must be"), "{authority}");
    }
}

#[test]
fn what_entra_does_not_have_is_refused_by_name() {
    let tenant = format!(r#""tenant_id": "{TENANT}""#);
    for (more, part) in [
        (r#""issuer": "https://idp.example""#, "remove \"issuer\""),
        (r#""oauth_token_introspect_url": "https://i/n""#, "remove \"oauth_token_introspect_url\""),
        (r#""validation": "introspection""#, "has no introspection"),
        (r#""oauth_token_url": "https://evil.example/token""#, "is not at https://login.microsoftonline.com"),
        (r#""azure_authority": "https://login.microsoftonline.com/x""#, "\"azure_authority\" must be"),
        (r#""azure_authority": "http://login.microsoftonline.com""#, "\"azure_authority\" must be"),
        (r#""allowed_tenants": ["contoso.com"]"#, "\"allowed_tenants\" must be"),
        (r#""allowed_tenants": "x""#, "\"allowed_tenants\" must be"),
        (r#""allow_guests": "yes""#, "\"allow_guests\" must be"),
    ] {
        assert!(
            fault(&format!("{tenant}, {more}")).contains(part),
            "{more}: {}",
            fault(&format!("{tenant}, {more}"))
        );
    }
    for tenant in ["", "contoso", "72f988bf-86f1-41af-91ab", "a/b.c", "../x.y", "con toso.com"] {
        assert!(fault(&format!(r#""tenant_id": "{tenant}""#)).contains("\"tenant_id\" must be"), "{tenant}");
    }
    let issuer = format!(r#""issuer": "https://login.microsoftonline.com/{TENANT}/v2.0""#);
    assert!(fault(&issuer).contains("configured by \"tenant_id\""));
}

#[test]
fn a_group_is_the_same_in_capitals() {
    let written = OTHER.to_uppercase();
    let keys = format!(r#""allowed_groups": ["{written}", "Staff"], "group_map": {{"{written}": "ops"}}"#);
    let config = load_text(&text(&format!(r#""tenant_id": "{TENANT}", {keys}"#))).unwrap().config;
    assert_eq!(config.policy.allowed_groups.unwrap(), [OTHER, "Staff"]);
    assert_eq!(config.mapping.group_map.keys().collect::<Vec<_>>(), [OTHER]);
    let elsewhere = load_text(&text(&format!(r#""issuer": "https://idp.example", {keys}"#))).unwrap().config;
    assert_eq!(elsewhere.policy.allowed_groups.unwrap(), [written.as_str(), "Staff"]);
}

#[test]
fn a_tenant_id_is_a_guid_in_lower_case() {
    assert_eq!(TenantId::parse(&TENANT.to_uppercase()).unwrap().as_str(), TENANT);
    for text in ["", "common", "72f988bf86f141af91ab2d7cd011db47", "72f988bf-86f1-41af-91ab-2d7cd011db4g"] {
        assert_eq!(TenantId::parse(text), None, "{text}");
    }
}
