//! Groups that did not fit into a token, told by a scripted Microsoft Graph.

use super::tests::*;
use crate::oauth::test_support::{Reply, Script};
use crate::oauth::{ProviderError, ProviderErrorKind as Kind, Settings, VerifiedClaims};
use serde_json::{Value, json};

const MEMBERSHIPS: &str = "https://graph.example.com/v1.0/me/transitiveMemberOf?$select=id&$top=999";
const NEXT: &str = "https://graph.example.com/v1.0/me/transitiveMemberOf?$skiptoken=2";

/// A login of somebody in too many groups, whose Graph plays `graph`.
fn with_graph(
    overage: &Value,
    graph: Vec<(&'static str, Reply)>,
) -> (Script, Result<VerifiedClaims, ProviderError>) {
    let mut claims = claims();
    let object = claims.as_object_mut().unwrap();
    object.remove("groups");
    object.extend(overage.as_object().unwrap().clone());
    let mut script = vec![(DEVICE, device()), (TOKEN, tokens(&claims)), (KEYS, keys(None))];
    script.extend(graph);
    log_in(&settings(entra()), script)
}

fn sources() -> Value {
    json!({
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": "https://evil.example.com/getMemberObjects"}},
    })
}

fn group(id: &str) -> Value {
    json!({"@odata.type": "#microsoft.graph.group", "id": id})
}

#[test]
fn groups_that_did_not_fit_are_read_page_by_page() {
    let role = json!({"@odata.type": "#microsoft.graph.directoryRole", "id": "role"});
    for overage in [sources(), json!({"hasgroups": true}), json!({"hasgroups": "true"})] {
        let first = json!({"value": [group("a"), role], "@odata.nextLink": NEXT});
        let last = json!({"value": [group("b")]});
        let (script, verified) = with_graph(
            &overage,
            vec![
                (MEMBERSHIPS, Reply::RetryAfter(429, 3)),
                (MEMBERSHIPS, Reply::Json(200, first)),
                (NEXT, Reply::Json(200, last)),
            ],
        );
        assert_eq!(verified.unwrap().claims().groups, ["a", "b"]);
        let asked = script.played();
        let graph: Vec<_> = asked.iter().skip(3).collect();
        assert!(graph.iter().all(|sent| sent.bearer.as_deref() == Some("AT")));
        assert_eq!(graph[1].at - graph[0].at, 3);
    }
}

#[test]
fn a_list_of_groups_that_is_not_whole_never_counts() {
    for entry in
        [json!({"id": "untold"}), json!({"@odata.type": "#microsoft.graph.group"}), json!("a"), json!(null)]
    {
        let page = json!({"value": [group("a"), entry]});
        let (_, verified) = with_graph(&sources(), vec![(MEMBERSHIPS, Reply::Json(200, page))]);
        assert!(verified.unwrap_err().to_string().contains("no list of groups"), "{entry}");
    }
}

#[test]
fn what_graph_says_is_told_without_the_token() {
    for code in ["bad token AT", "AT"] {
        let refusal = json!({"error": {"code": code}});
        let (_, verified) = with_graph(&sources(), vec![(MEMBERSHIPS, Reply::Json(403, refusal))]);
        assert!(!verified.unwrap_err().to_string().contains("AT)"), "{code}");
    }
}

#[test]
fn overage_is_about_the_groups_claim_only() {
    let mut claims = claims();
    claims["hasgroups"] = json!(true);
    claims["roles"] = json!(["admin"]);
    let settings = Settings { groups_claim: "roles".into(), ..settings(entra()) };
    let script = vec![(DEVICE, device()), (TOKEN, tokens(&claims)), (KEYS, keys(None))];
    assert_eq!(log_in(&settings, script).1.unwrap().claims().groups, ["admin"]);
}

#[test]
fn groups_that_decide_nothing_are_not_asked_for() {
    let mut claims = claims();
    claims["hasgroups"] = json!(true);
    let settings = Settings { needs_groups: false, ..settings(entra()) };
    let script = vec![(DEVICE, device()), (TOKEN, tokens(&claims)), (KEYS, keys(None))];
    assert!(log_in(&settings, script).1.is_ok());
}

#[test]
fn a_graph_that_refuses_lets_nobody_in_and_names_the_permission() {
    let refusal =
        json!({"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}});
    for (status, kind, parts) in [
        (403, Kind::Misconfigured, ["Authorization_RequestDenied", "delegated permission User.Read"]),
        (401, Kind::Misconfigured, ["does not accept the access token", "\"scope\""]),
        (404, Kind::BadAnswer, ["no list of groups", "status 404"]),
    ] {
        let (_, verified) = with_graph(&sources(), vec![(MEMBERSHIPS, Reply::Json(status, refusal.clone()))]);
        let error = verified.unwrap_err();
        assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn the_access_token_goes_to_graph_only_and_not_for_ever() {
    for next in
        ["https://evil.example.com/v1.0/me", "https://graph.example.com.evil.example/", "http://127.0.0.1/"]
    {
        let page = json!({"value": [], "@odata.nextLink": next});
        let (_, verified) = with_graph(&sources(), vec![(MEMBERSHIPS, Reply::Json(200, page))]);
        assert!(verified.unwrap_err().to_string().contains("leads to another server"), "{next}");
    }
    let endless = || Reply::Json(200, json!({"value": [], "@odata.nextLink": NEXT}));
    let mut pages = vec![(MEMBERSHIPS, endless())];
    pages.extend((0..49).map(|_| (NEXT, endless())));
    let (_, verified) = with_graph(&sources(), pages);
    assert!(verified.unwrap_err().to_string().contains("leads to no end"));
}
