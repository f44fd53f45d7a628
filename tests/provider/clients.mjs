// The two kinds of client a Linux machine can be registered as.

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

const deviceClient = (id, name, more) => ({
  client_id: id,
  client_name: name,
  grant_types: [DEVICE_GRANT, 'refresh_token'],
  response_types: [],
  redirect_uris: [],
  id_token_signed_response_alg: 'RS256',
  ...more,
});

export const clients = [
  deviceClient('linux-login', 'Linux login', { token_endpoint_auth_method: 'none' }),
  deviceClient('linux-login-secret', 'Linux login with a secret', {
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: 'linux-login-test-secret',
  }),
];

// A public client proves nothing about itself, so it may ask about its own tokens only (RFC 7662 §2.1).
export function mayIntrospect(_ctx, client, token) {
  return client.clientAuthMethod !== 'none' || token.clientId === client.clientId;
}
