// The OpenID provider proper: oidc-provider with the settings the tests need.

import { randomBytes } from 'node:crypto';
import { Provider } from 'oidc-provider';

import { clients, mayIntrospect } from './clients.mjs';
import { interactions } from './interactions.mjs';
import { signingJwk } from './keys.mjs';
import { confirmPage, donePage, errorPage, inputPage } from './pages.mjs';
import { Storage } from './storage.mjs';

const HOUR = 3600; // seconds, as every lifetime below

/** interval and deviceTtl are seconds; forge has the last word on what is answered. */
export function openidProvider(issuer, accounts, forge, { interval, deviceTtl }) {
  const provider = new Provider(issuer, {
    adapter: Storage,
    clients,
    jwks: { keys: [signingJwk()] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username', 'groups'],
      email: ['email'],
      groups: ['groups'],
    },
    // Otherwise only userinfo has the claims of a scope, and the id_token none.
    conformIdTokenClaims: false,
    findAccount: (_ctx, subject) => findAccount(accounts, subject),
    extraTokenClaims: (_ctx, token) => introspectionClaims(accounts, token),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: features(),
    renderError: (ctx, out) => render(ctx, errorPage(`${out.error}: ${out.error_description}`)),
    ttl: {
      AccessToken: HOUR, IdToken: HOUR, RefreshToken: HOUR, Session: HOUR, Grant: HOUR, Interaction: HOUR,
      DeviceCode: deviceTtl,
    },
  });
  provider.use(forge.middleware());
  provider.use(announceInterval(interval));
  provider.use(interactions(provider, accounts));
  return provider;
}

function features() {
  return {
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: mayIntrospect },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, form, _out, error) => render(ctx, inputPage(form, inputProblem(error))),
      userCodeConfirmSource: (ctx, form, client, _device, code) => render(ctx, confirmPage(form, client, code)),
      successSource: (ctx) => render(ctx, donePage()),
    },
  };
}

// The name of a re-render error is all the library tells a page about what went wrong.
function inputProblem(error) {
  return error && `${error.name}: ${error.message}`;
}

function render(ctx, html) {
  ctx.type = 'html';
  ctx.body = html;
}

function findAccount(accounts, subject) {
  const known = accounts.claimsOf(subject);
  return known && { accountId: subject, claims: () => accounts.claimsOf(subject) };
}

// These end up beside sub, client_id, scope and exp in the introspection answer (RFC 7662 §2.2).
function introspectionClaims(accounts, token) {
  const { preferred_username: username, groups, email } = accounts.claimsOf(token.accountId) ?? {};
  return { username, preferred_username: username, groups, email };
}

// The library leaves `interval` out, which means 5 s (RFC 8628 §3.2); tests want to poll faster.
function announceInterval(interval) {
  return async function addInterval(ctx, next) {
    await next();
    if (ctx.body?.device_code) ctx.body.interval = interval;
  };
}
