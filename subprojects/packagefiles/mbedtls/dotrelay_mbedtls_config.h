/* The Mbed TLS features dotrelay uses, and no others: a TLS 1.2 and 1.3 client with ECDHE, X.509 verification, session
 * tickets and ALPN. The library and everything that includes its headers must be compiled with this same file
 * (MBEDTLS_CONFIG_FILE), because the macros decide the layout of Mbed TLS structures.
 *
 * Left out on purpose: USE_PSA_CRYPTO (half a microsecond a record), THREADING (one thread a worker),
 * SSL_VARIABLE_BUFFER_LENGTH (with a small output buffer it breaks full TLS 1.2 records), FS_IO (files are read by us). */
#ifndef DOTRELAY_MBEDTLS_CONFIG_H
#define DOTRELAY_MBEDTLS_CONFIG_H

/* Platform */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_ERROR_C

/* Random numbers */
#define MBEDTLS_ENTROPY_C
#define MBEDTLS_CTR_DRBG_C

/* Ciphers: AES-GCM with the CPU's instructions where there are any, ChaCha20-Poly1305 elsewhere */
#define MBEDTLS_AES_C
#define MBEDTLS_AESNI_C
#define MBEDTLS_AESCE_C
#define MBEDTLS_GCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_BLOCK_CIPHER_C /* GCM calls AES itself, not through CIPHER_C: 27 instructions less for each 16 octets */

/* Hashes and key derivation */
#define MBEDTLS_MD_C
#define MBEDTLS_SHA1_C /* a fifth of the roots in use are self-signed with it; no other signature may use it */
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_SHA256_USE_ARMV8_A_CRYPTO_IF_PRESENT
#define MBEDTLS_HKDF_C

/* Public keys; Everest halves the X25519 part of a handshake */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDH_VARIANT_EVEREST_ENABLED
#define MBEDTLS_ECDSA_C
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_WRITE_C

/* Certificates */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_OID_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT

/* PSA: TLS 1.3 needs it. With a fixed key store the 33rd simultaneous handshake would fail. */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_KEY_STORE_DYNAMIC

/* TLS */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#define MBEDTLS_SSL_SESSION_TICKETS
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_ALPN
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#define MBEDTLS_SSL_RECORD_SIZE_LIMIT

/* Octets of plaintext one outgoing record holds: a session then takes 28 KB instead of 40 KB. */
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096

/* The server side exists only in the library that the tests link. */
#ifdef DOTRELAY_MBEDTLS_WITH_SERVER
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_TICKET_C
#endif

#endif
