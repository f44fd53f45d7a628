//! Groups from Microsoft Graph, for people who are in more of them than fit into a token.
//! <https://learn.microsoft.com/graph/api/user-list-transitivememberof>

use crate::oauth::error::{EndpointName, ProviderError};
use crate::oauth::exchange::{Exchange, own_words};
use crate::oauth::http::{BODY_LIMIT, Endpoint, Request, Response};
use serde::Deserialize;
use serde_json::Value;
use shared::types::Secret;

/// Pages that are read, of up to 999 entries each; Entra holds nobody in more groups than that.
const PAGES_MAX: usize = 50;

/// What an entry of the list calls itself if it is a group and not a role or an administrative unit.
const GROUP: &str = "#microsoft.graph.group";

/// Why Graph did not tell the groups.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphFault {
    /// 403.
    #[error(
        "it refuses to list the person's groups ({0}): the application needs the delegated permission User.Read of \
         Microsoft Graph, and consent to it"
    )]
    Forbidden(String),
    /// 401.
    #[error(
        "it does not accept the access token ({0}): \"scope\" must not ask for another resource than Microsoft Graph; \
         \"openid profile User.Read\" does not"
    )]
    Unauthorized(String),
    /// `@odata.nextLink` leads away from Graph, or never ends.
    #[error("its list of groups leads to {0}")]
    Link(&'static str),
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Entry>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "@odata.type")]
    kind: String,
    id: String,
}

/// The ids of all groups that the person of `access_token` is in.
pub(super) fn groups(
    exchange: &Exchange<'_>,
    graph: &str,
    access_token: &Secret,
) -> Result<Vec<String>, ProviderError> {
    let parse =
        |url: &str| Endpoint::parse(url).map_err(|fault| ProviderError::Url { key: "graph_url", fault });
    let mut url = parse(&format!("{graph}/v1.0/me/transitiveMemberOf?$select=id&$top=999"))?;
    let origin = url.origin();
    let mut groups = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = page(exchange, url, access_token)?;
        groups.extend(page.value.into_iter().filter(|entry| entry.kind == GROUP).map(|entry| entry.id));
        let Some(next) = page.next else { return Ok(groups) };
        url = parse(&next)?;
        // The access token goes there too.
        if url.origin() != origin {
            return Err(GraphFault::Link("another server").into());
        }
    }
    Err(GraphFault::Link("no end").into())
}

fn page(exchange: &Exchange<'_>, url: Endpoint, access_token: &Secret) -> Result<Page, ProviderError> {
    let endpoint = EndpointName::Graph;
    let request = Request::get_as(url, access_token.clone());
    let response = exchange.send_persistently(endpoint, &request)?;
    match response.status() {
        403 => Err(GraphFault::Forbidden(code(&request, &response)).into()),
        401 => Err(GraphFault::Unauthorized(code(&request, &response)).into()),
        status => {
            let page = if response.is_success() { response.json() } else { None };
            page.ok_or(ProviderError::Answer { endpoint, status, missing: "no list of groups" })
        }
    }
}

/// `error.code`. The message beside it may quote the token.
fn code(request: &Request, response: &Response) -> String {
    let body: Option<Value> = response.json();
    let code = body.as_ref().and_then(|body| body.get("error")?.get("code")?.as_str());
    own_words(request, code.unwrap_or("no error code"))
}

const _: () = assert!(BODY_LIMIT >= 999 * 128, "a page of 999 entries must fit");
