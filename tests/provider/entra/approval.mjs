// What a person sees at /device: the code, "is this yours?", the sign-in, and consent.

import { randomBytes } from 'node:crypto';

import { confirmPage, consentPage, donePage, errorPage, inputPage, loginPage } from '../pages.mjs';

export const PAGES = /^\/device(?:\/(?<id>[\w-]{21}))?$/;

const walks = new Map(); // id -> {grant, step, person}

export function approval({ directory, grants }, { request, response, form, match }) {
  const { id } = match.groups;
  if (!id && request.method === 'GET') return show(response, inputPage(codeForm()));
  if (!id) return begin(grants, form, response);
  const walk = walks.get(id);
  if (!walk) return show(response, errorPage('SessionNotFound: no such sign-in'));
  if (form.has('abort')) return abort(walk, response);
  return STEPS[walk.step](walk, { directory, form, response, action: `/device/${id}` });
}

function begin(grants, form, response) {
  const grant = grants.withUserCode(form.get('user_code'));
  if (!grant) return show(response, inputPage(codeForm(), 'NotFoundError: that code is not known'), 400);
  const id = randomBytes(16).toString('base64url').slice(0, 21).padEnd(21, '0');
  walks.set(id, { grant, step: 'confirm' });
  const action = `<form id="op.deviceConfirmForm" method="post" action="/device/${id}"></form>`;
  return show(response, confirmPage(action, clientOf(grant), grant.userCode));
}

const STEPS = {
  confirm(walk, { response, action }) {
    walk.step = 'login';
    return show(response, loginPage(action));
  },
  login(walk, { directory, form, response, action }) {
    walk.person = directory.person(form.get('login'), walk.grant.realm);
    if (!walk.person) return show(response, errorPage('AADSTS50020: this account is not in the tenant'));
    walk.step = 'consent';
    return show(response, consentPage(action, clientOf(walk.grant), { missingOIDCScope: walk.grant.scopes }));
  },
  consent(walk, { response }) {
    Object.assign(walk.grant, { person: walk.person, state: 'approved' });
    return show(response, donePage());
  },
};

function abort({ grant }, response) {
  grant.state = 'denied';
  return show(response, inputPage(codeForm(), 'AbortedError: the person pressed cancel'));
}

function clientOf({ application: { id, name } }) {
  return { clientId: id, clientName: name };
}

function codeForm() {
  return '<form id="op.deviceInputForm" method="post" action="/device"><input name="user_code" required></form>';
}

function show(response, html, status = 200) {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(html);
}
