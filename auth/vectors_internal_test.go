package auth

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// JWT refuses the tokens of the RFCs, because they have no header "kid". So these tests call the steps of JWT one by one.

// joe is the payload of RFC 7519, 3.1, which RFC 7515 signs in appendix A.
const joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

var vectors = map[string]struct{ alg, jwk, token, payload string }{
	"RFC 7515, A.2": {"RS256",
		`{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`,
		"eyJhbGciOiJSUzI1NiJ9." + joe + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
		"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"},
	"RFC 7515, A.3": {"ES256",
		`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
		"eyJhbGciOiJFUzI1NiJ9." + joe + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"},
	"RFC 8037, A.4": {"EdDSA",
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		"Example of Ed25519 signing"},
}

func TestU01Vectors(t *testing.T) {
	for name, test := range vectors {
		t.Run(name, func(t *testing.T) {
			keys := new(Keys)
			require.NoError(t, keys.LoadJWKS([]byte(`{"keys":[`+test.jwk[:len(test.jwk)-1]+`,"kid":"rfc"}]}`)))
			key, err := keys.Key(context.Background(), "rfc")
			require.NoError(t, err)

			token, err := split(test.token)
			require.ErrorIs(t, err, errNoKeyID)
			assert.Equal(t, test.alg, token.alg)
			assert.Equal(t, test.payload, string(token.payload))
			require.NoError(t, token.verify(key))

			for i := range token.signature {
				token.signature[i] ^= 0x10
				require.Error(t, token.verify(key), "byte %d", i)
				token.signature[i] ^= 0x10
			}
			token.signed += "A"
			assert.Error(t, token.verify(key))
		})
	}
}

// TestU01VectorsClaims reads the claims of RFC 7519, 3.1.
func TestU01VectorsClaims(t *testing.T) {
	data, err := decodeBase64(joe)
	require.NoError(t, err)
	claims, err := decodeObject(data)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"iss": "joe", "exp": json.Number("1300819380"), "http://example.com/is_root": true}, claims)
}

// TestU01VectorsRefused checks that JWT refuses the RFCs' tokens that cannot be verified with a public key.
func TestU01VectorsRefused(t *testing.T) {
	keys := new(Keys)
	scheme := JWT(keys)
	for name, test := range map[string]struct {
		token string
		want  error
	}{
		"RFC 7515, A.1 and RFC 7519, 3.1: HS256": {"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + joe + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", errNoKeyID},
		"RFC 7515, A.5 and RFC 7519, 6.1: none":  {"eyJhbGciOiJub25lIn0." + joe + ".", errNoKeyID},
		"RFC 7515, A.6: crit":                    {"eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.", errCritical},
		"RFC 7519, A.1: encrypted":               {"eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.AA.AA.AA.AA", errNotCompact},
		"RFC 7519, A.2: nested":                  {"eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2IiwiY3R5IjoiSldUIn0.AA.AA", errNested},
	} {
		_, err := scheme(context.Background(), test.token)
		assert.ErrorIs(t, err, test.want, name)
	}
}

// TestCacheIsBounded checks that a cache that is filled five times keeps its bounds, and the one token that is in use.
func TestCacheIsBounded(t *testing.T) {
	cache := new(verdicts)
	now := time.Now()
	inUse := [32]byte{0xff}
	cache.put(inUse, &Identity{Subject: "greg"}, now.Add(1))
	for i := range 5 * generation {
		cache.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, new(Identity), now.Add(1))
		require.LessOrEqual(t, len(cache.young), generation)
		require.LessOrEqual(t, len(cache.old), generation)
		require.NotNil(t, cache.get(inUse, now))
	}
	assert.Nil(t, cache.get([32]byte{1}, now), "which was forgotten")
	assert.Nil(t, cache.get(inUse, now.Add(1)), "which is over")
	cache.drop(inUse)
	assert.Nil(t, cache.get(inUse, now))
}
