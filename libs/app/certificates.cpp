#include "libs/app/certificates.hpp"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <ctime>
#include <memory>

namespace tern::app {
namespace {

template <auto Free>
struct freed {
  template <class T>
  void operator()(T* what) const {
    Free(what);
  }
};
using bio = std::unique_ptr<BIO, freed<BIO_free>>;
using x509 = std::unique_ptr<X509, freed<X509_free>>;
using key = std::unique_ptr<EVP_PKEY, freed<EVP_PKEY_free>>;
using x509_store = std::unique_ptr<X509_STORE, freed<X509_STORE_free>>;
using x509_check = std::unique_ptr<X509_STORE_CTX, freed<X509_STORE_CTX_free>>;

x509 read_certificate(const std::string& file) {
  const bio in(BIO_new_file(file.c_str(), "r"));
  return x509(in ? PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr);
}

key read_key(const std::string& file) {
  const bio in(BIO_new_file(file.c_str(), "r"));
  return key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr) : nullptr);
}

std::string common_name(const X509_NAME* of) {
  char text[256] = {};
  X509_NAME_get_text_by_NID(const_cast<X509_NAME*>(of), NID_commonName, text, sizeof text);
  return text;
}

int64_t seconds_of(const ASN1_TIME* when) {
  std::tm parts{};
  return ASN1_TIME_to_tm(when, &parts) == 1 ? ::timegm(&parts) : 0;
}

std::string fingerprint_of(const X509& it) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(&it, EVP_sha256(), bytes, &size) != 1) return {};
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < 8 && i < size; ++i) {
    text += digits[bytes[i] >> 4U];
    text += digits[bytes[i] & 15U];
  }
  return text;
}

std::string chain_problem(X509& it, const std::string& ca_file) {
  const x509_store trusted(X509_STORE_new());
  if (X509_STORE_load_file(trusted.get(), ca_file.c_str()) != 1)
    return "its authority " + ca_file + " cannot be read";
  const x509_check check(X509_STORE_CTX_new());
  X509_STORE_CTX_init(check.get(), trusted.get(), &it, nullptr);
  if (X509_verify_cert(check.get()) == 1) return {};
  return std::string(X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()))) + " (authority " +
         ca_file + ")";
}

std::string date_problem(const X509& it) {
  if (X509_cmp_current_time(X509_get0_notAfter(&it)) < 0) return "certificate has expired";
  return X509_cmp_current_time(X509_get0_notBefore(&it)) > 0 ? "certificate is not yet valid" : "";
}

}  // namespace

certificate_report inspect_certificate(const std::string& file, const std::string& ca_file,
                                       const std::string& key_file) {
  certificate_report out;
  out.file = file;
  const auto it = read_certificate(file);
  if (!it) {
    out.problem = "cannot be read, or is no certificate";
    return out;
  }
  out.subject = common_name(X509_get_subject_name(it.get()));
  out.issuer = common_name(X509_get_issuer_name(it.get()));
  out.not_after = seconds_of(X509_get0_notAfter(it.get()));
  out.fingerprint = fingerprint_of(*it);
  out.problem = date_problem(*it);
  if (out.problem.empty() && !ca_file.empty()) out.problem = chain_problem(*it, ca_file);
  if (!out.problem.empty() || key_file.empty()) return out;
  const auto own = read_key(key_file);
  if (!own) {
    out.problem = "its key " + key_file + " cannot be read";
  } else if (X509_check_private_key(it.get(), own.get()) != 1) {
    out.problem = "is not of the key " + key_file;
  }
  return out;
}

}  // namespace tern::app
