// Sign-in and consent: the steps oidc-provider leaves to whoever runs it.

import { consentPage, loginPage } from './pages.mjs';

const PATH = /^\/interaction\/[^/]+$/;

/** A koa middleware that answers /interaction/ID and leaves everything else to the library. */
export function interactions(provider, accounts) {
  return async function answerInteraction(ctx, next) {
    if (!PATH.test(ctx.path)) return next();
    ctx.set('cache-control', 'no-store');
    if (ctx.method === 'POST') return submit(provider, accounts, ctx);
    return show(provider, ctx);
  };
}

async function show(provider, ctx) {
  const { prompt, params } = await provider.interactionDetails(ctx.req, ctx.res);
  const client = await provider.Client.find(params.client_id);
  ctx.type = 'html';
  ctx.body = prompt.name === 'login'
    ? loginPage(ctx.path)
    : consentPage(ctx.path, client, prompt.details);
}

async function submit(provider, accounts, ctx) {
  const interaction = await provider.interactionDetails(ctx.req, ctx.res);
  const form = await readForm(ctx.req);
  const result = await outcome(provider, accounts, interaction, form);
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
  ctx.status = 303;
}

async function outcome(provider, accounts, interaction, form) {
  if (form.has('abort')) {
    return { error: 'access_denied', error_description: 'the person pressed cancel' };
  }
  if (interaction.prompt.name === 'login') {
    return { login: { accountId: accounts.signIn(form.get('login')) } };
  }
  return { consent: { grantId: await grantWhatIsMissing(provider, interaction) } };
}

async function grantWhatIsMissing(provider, { grantId, session, params, prompt: { details } }) {
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(' '));
  if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims);
  return grant.save();
}

async function readForm(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
