// The login service: device authorization, tokens, discovery and key sets of a tenant.

import { randomBytes } from 'node:crypto';

import { idTokenClaims } from './claims.mjs';
import { CONSUMERS } from './directory.mjs';
import { Failure } from './failures.mjs';
import { sendJson } from './json.mjs';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const GRAPH = '00000003-0000-0000-c000-000000000000';
const HOUR = 3600; // seconds
const TOO_LATE = { denied: 70017, redeemed: 70000, pending: 70016 };

export function deviceCode({ base, directory, grants, settings }, { realm, form, response }) {
  refuseIfTold(settings, 'devicecode');
  const scopes = required(form, 'scope').split(' ');
  const grant = grants.open({ application: applicationOf(directory, form), realm, scopes });
  const verificationUri = `${base}/device`;
  sendJson(response, 200, {
    user_code: grant.userCode,
    device_code: grant.deviceCode,
    verification_uri: verificationUri,
    expires_in: grants.ttl,
    interval: grants.interval,
    message: `To sign in, open ${verificationUri} in a web browser and enter the code ${grant.userCode}.`,
  });
}

export function token(provider, { realm, form, response }) {
  const { directory, grants, settings } = provider;
  refuseIfTold(settings, 'token');
  const application = applicationOf(directory, form);
  authenticate(application, form.get('client_secret'));
  if (required(form, 'grant_type') !== DEVICE_GRANT) throw new Failure(70003);
  const grant = grants.withDeviceCode(required(form, 'device_code'));
  refuseUnlessApproved(grant, application, realm);
  if (grant.person.refusal) throw new Failure(grant.person.refusal);
  sendJson(response, 200, tokens(provider, grant));
}

function refuseIfTold(settings, endpoint) {
  const number = settings.errorAt(endpoint);
  if (number) throw new Failure(number);
}

function applicationOf(directory, form) {
  const id = required(form, 'client_id');
  const application = directory.application(id);
  if (!application) throw new Failure(700016, id);
  return application;
}

function required(form, name) {
  const value = form.get(name);
  if (!value) throw new Failure(900144, name);
  return value;
}

function authenticate(application, secret) {
  if (application.secret === undefined) {
    if (secret !== null) throw new Failure(700025);
  } else if (secret === null) {
    throw new Failure(7000218);
  } else if (secret !== application.secret) {
    throw new Failure(7000215);
  }
}

function refuseUnlessApproved(grant, application, realm) {
  if (!grant) throw new Failure(70018);
  if (grant.application !== application || grant.realm.id !== realm.id) throw new Failure(70000);
  if (grant.state === 'pending' && Date.now() > grant.expires) throw new Failure(70020);
  if (grant.state !== 'approved') throw new Failure(TOO_LATE[grant.state]);
}

function tokens({ base, grants, keys }, grant) {
  const { application, person, scopes } = grant;
  const granted = scopes.filter((scope) => scope !== 'offline_access');
  const accessToken = keys.jwt({ aud: GRAPH, tid: person.tid, oid: person.oid, scp: granted.join(' '), uti: nonce() });
  grants.redeem(grant, accessToken);
  const answer = {
    token_type: 'Bearer', scope: granted.join(' '), expires_in: HOUR, ext_expires_in: HOUR, access_token: accessToken,
  };
  if (scopes.includes('offline_access')) answer.refresh_token = `1.${nonce()}`;
  if (scopes.includes('openid')) {
    answer.id_token = keys.jwt(idTokenClaims(base, application, person), person.signing_key);
  }
  return answer;
}

function nonce() {
  return randomBytes(48).toString('base64url');
}

export function keySet({ keys }, { realm, response }) {
  sendJson(response, 200, keys.published(realm));
}

export function discovery({ base }, { realm: { id, isMany }, response }) {
  const tenant = `${base}/${id}`;
  sendJson(response, 200, {
    token_endpoint: `${tenant}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${tenant}/discovery/v2.0/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    // At the addresses of many tenants the braces stand there as they are.
    issuer: `${base}/${isMany ? '{tenantid}' : id}/v2.0`,
    request_uri_parameter_supported: false,
    userinfo_endpoint: `${base}/oidc/userinfo`,
    authorization_endpoint: `${tenant}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${tenant}/oauth2/v2.0/devicecode`,
    http_logout_supported: true,
    end_session_endpoint: `${tenant}/oauth2/v2.0/logout`,
    tenant_region_scope: isMany || id === CONSUMERS ? null : 'EU',
    cloud_instance_name: 'idp.test',
    cloud_graph_host_name: 'graph.windows.net',
    msgraph_host: new URL(base).host,
  });
}
