// AADSTS errors: the number says what happened, `error` is the OAuth code it comes with.

import { randomUUID } from 'node:crypto';

import { sendJson } from './json.mjs';

const TABLE = {
  50057: ['invalid_grant', 'The account of this user is disabled.'],
  50105: ['invalid_grant', 'The signed in user is not assigned to a role for the application, and only assigned users may use it.'],
  53003: ['invalid_grant', 'Access has been blocked by Conditional Access policies. No token may be issued.', {
    suberror: 'message_only',
    claims: '{"access_token":{"capolids":{"essential":true,"values":["f3a1c8d2-0b5e-4c77-9a41-2d6e8b90c1f5"]}}}',
  }],
  65001: ['invalid_grant', 'Neither the user nor an administrator has consented to the use of the application.', {
    suberror: 'consent_required',
  }],
  70000: ['invalid_grant', 'The device code was already redeemed or belongs to another client.'],
  70003: ['unsupported_grant_type', 'This endpoint does not serve the grant type.'],
  70016: ['authorization_pending', 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.'],
  70017: ['authorization_declined', 'The user has declined the device flow.'],
  70018: ['bad_verification_code', 'The device code was not recognized.'],
  70020: ['expired_token', 'The device code has expired.'],
  90002: ['invalid_request', "Tenant 'WHAT' not found. Check that the tenant ID is correct and that this is the right cloud."],
  700016: ['unauthorized_client', "Application with identifier 'WHAT' was not found in the directory."],
  700025: ['invalid_client', "Client is public, so neither 'client_assertion' nor 'client_secret' should be presented."],
  900144: ['invalid_request', "The request body must contain the parameter 'WHAT'."],
  7000215: ['invalid_client', "Invalid client secret provided. It has to be the secret's value, not its ID."],
  7000218: ['invalid_client', "The request body must contain the parameter 'client_assertion' or 'client_secret'."],
};

/** Thrown where a request ends; `what` is the tenant, client or parameter that it is about. */
export class Failure extends Error {
  constructor(number, what = '', code = TABLE[number]?.[0]) {
    super(`AADSTS${number}`);
    if (!(number in TABLE)) throw new Error(`AADSTS${number} is not in the table`);
    this.number = Number(number);
    this.what = what;
    this.code = code;
  }
}

export function sendFailure(response, base, { number, what, code: error }) {
  const [, text, more = {}] = TABLE[number];
  const [trace, correlation] = [randomUUID(), randomUUID()];
  const timestamp = `${new Date().toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const words = text.replace('WHAT', what);
  sendJson(response, error === 'invalid_client' ? 401 : 400, {
    error,
    error_description: `AADSTS${number}: ${words} Trace ID: ${trace} Correlation ID: ${correlation} Timestamp: ${timestamp}`,
    error_codes: [number],
    timestamp,
    trace_id: trace,
    correlation_id: correlation,
    error_uri: `${base}/error?code=${number}`,
    ...more,
  });
}
