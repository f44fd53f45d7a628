//! PAM module: sign-in by the OAuth 2.0 Device Authorization Grant.
