/* How the TLS code of the library reads the certificates of a server: see meson.build. The library refuses a handshake
 * when any certificate of the message has a critical extension that it does not know (name constraints, for one) or
 * cannot be read, even one that is not needed. Here such extensions are left to the relay, whose CertificateJudge
 * refuses those that it does not know, either; and of the certificates behind the server's own the unreadable ones are
 * left out. */
#include "mbedtls/oid.h"
#include "mbedtls/x509_crt.h"

static int accept_extension(void *context, mbedtls_x509_crt const *certificate, mbedtls_x509_buf const *oid,
                            int critical, const unsigned char *begin, const unsigned char *end)
{
    (void) context, (void) certificate, (void) oid, (void) critical, (void) begin, (void) end;
    return 0;
}

int dotrelay_x509_crt_parse_der(mbedtls_x509_crt *chain, const unsigned char *octets, size_t size);

int dotrelay_x509_crt_parse_der(mbedtls_x509_crt *chain, const unsigned char *octets, size_t size)
{
    const int is_first = chain->version == 0;
    const int error = mbedtls_x509_crt_parse_der_with_ext_cb(chain, octets, size, 1, accept_extension, NULL);
    /* What the callers ignore. */
    const int ignored = MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG + MBEDTLS_ERR_OID_NOT_FOUND;
    if (error == 0 || error == MBEDTLS_ERR_X509_ALLOC_FAILED) return error;
    if (!is_first) return ignored;
    /* Else the next certificate would stand for the server's own. */
    return error == ignored ? MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG : error;
}
