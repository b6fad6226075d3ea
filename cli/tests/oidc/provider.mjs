// A provider of OpenID Connect with everybody in it: whoever signs in as `NAME@GROUP` is of that group.
// Usage: node provider.mjs PORT REDIRECT SECRET
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, redirect, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: "sundog", client_secret: secret, redirect_uris: [redirect],
    grant_types: ["authorization_code"], response_types: ["code"],
  }],
  claims: { openid: ["sub"], groups: ["groups"] },
  scopes: ["openid", "groups"],
  // Groups are wanted in the ID token itself.
  conformIdTokenClaims: false,
  pkce: { required: () => true, methods: ["S256"] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, groups: id.split("@").slice(1) }),
  }),
  cookies: { keys: ["only for tests"] },
});
// Whoever started it reads the first line alone.
process.stdout.on("error", () => {});
createServer(provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("listening"));
