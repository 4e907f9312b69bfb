package token

import (
	"fmt"

	"gatehouse/authorizer"
)

// The codes of a refusal: stable, one for each reason that an operator would count or alarm on (rule 49). All of them
// mean 401 but CodeJWKSUnavailable, which means 500 and wakes somebody (rule 50).
const (
	CodeMissing            = "token_missing"            // no Authorization value at all
	CodeAuthorization      = "authorization_malformed"  // several values, another scheme, or not "Bearer" SP token
	CodeTooLarge           = "token_too_large"          // token or header over its cap
	CodeMalformed          = "token_malformed"          // not strict compact JWS with strict JSON in it
	CodeJWE                = "jwe_unsupported"          // five parts: encrypted
	CodeHeaderNotAllowed   = "header_not_allowed"       // a header member outside the allow-list, or of a wrong type
	CodeAlgNotAllowed      = "alg_not_allowed"          // alg missing, not configured, or not the key's own
	CodeTypNotAllowed      = "typ_not_allowed"          // another kind of token than the profile's access tokens
	CodeKidInvalid         = "kid_invalid"              // kid missing, not a string, empty or too long
	CodeIssuerUnknown      = "issuer_unknown"           // iss is not, byte for byte, a configured issuer
	CodeKidUnknown         = "kid_unknown"              // the issuer has no such key, and could be asked
	CodeSignatureInvalid   = "signature_invalid"        // the key did not sign these bytes
	CodeAudienceMismatch   = "audience_mismatch"        // made for another API
	CodeExpired            = "token_expired"            // exp has passed
	CodeNotYetValid        = "token_not_yet_valid"      // nbf or iat lies in the future
	CodeLifetime           = "lifetime_too_long"        // exp - iat over the issuer's max_lifetime
	CodeClaimMissing       = "claim_missing"            // a required claim is absent or null
	CodeClaimInvalid       = "claim_invalid"            // a claim has another type or form than it must
	CodeOrganization       = "organization_not_allowed" // org_id is not on the issuer's list
	CodeBindingUnsupported = "binding_unsupported"      // cnf: the token is bound to a key, and nothing here checks that
	CodeJWKSUnavailable    = "jwks_unavailable"         // the keys cannot be had now: 500
)

// refuse is a 401. The text is for operators and holds no token, key id or claim value; names of claims come from
// our own code or configuration, never from the token.
func refuse(code, format string, args ...any) error {
	return authorizer.Unauthenticated(code, fmt.Errorf(format, args...))
}
