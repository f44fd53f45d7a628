// Which part answers which address.

import { PAGES, approval } from './approval.mjs';
import { Failure, sendFailure } from './failures.mjs';
import { MEMBERSHIPS, memberships, userinfo } from './graph.mjs';
import { readForm, sendJson } from './json.mjs';
import { deviceCode, discovery, keySet, token } from './login.mjs';
import { pathOf } from '../traffic.mjs';

const ROUTES = [
  ['POST', /^\/(?<tenant>[^/]+)\/oauth2\/v2\.0\/devicecode$/, deviceCode],
  ['POST', /^\/(?<tenant>[^/]+)\/oauth2\/v2\.0\/token$/, token],
  ['GET', /^\/(?<tenant>[^/]+)\/discovery\/v2\.0\/keys$/, keySet],
  ['GET', /^\/(?<tenant>[^/]+)\/v2\.0\/\.well-known\/openid-configuration$/, discovery],
  ['GET', new RegExp(`^${MEMBERSHIPS.replaceAll('.', '\\.')}$`), memberships],
  ['GET', /^\/oidc\/userinfo$/, userinfo],
  ['GET', PAGES, approval],
  ['POST', PAGES, approval],
];

/** A (request, response) function over the parts of the provider. */
export function router(provider) {
  return async function answer(request, response) {
    try {
      await dispatch(provider, request, response);
    } catch (error) {
      if (error instanceof Failure) sendFailure(response, provider.base, error);
      else fail(response, error);
    }
  };
}

async function dispatch(provider, request, response) {
  const form = await readForm(request);
  provider.journal.recordForm(request, form);
  for (const [method, pattern, part] of ROUTES) {
    const match = method === request.method && pattern.exec(pathOf(request));
    if (match) {
      part(provider, { request, response, form, match, realm: realmOf(provider, match, method) });
      return;
    }
  }
  sendJson(response, 404, { error: 'not_found' });
}

function realmOf({ directory }, { groups: { tenant } = {} }, method) {
  if (tenant === undefined) return undefined;
  const realm = directory.realm(tenant);
  // Documents are refused with another code than tokens.
  if (!realm) throw new Failure(90002, tenant, method === 'GET' ? 'invalid_tenant' : undefined);
  return realm;
}

function fail(response, error) {
  console.error(error);
  sendJson(response, 500, { error: 'server_error', error_description: error.message });
}
