// What is in certificate files, and whether others will take it.
#pragma once

#include <cstdint>
#include <string>

#include "libs/base/result.hpp"

namespace tern::app {

struct certificate_report {
  std::string file;
  std::string subject;  // its common name
  std::string issuer;
  int64_t not_after = 0;    // seconds since 1970
  std::string fingerprint;  // first 16 hex digits of its SHA-256
  std::string problem;      // why others refuse it: expired, of another authority, not of its key; empty: nothing
};

/// The first certificate of a PEM file. With `ca_file` it has to be signed by one of those, with `key_file` it has to
/// belong to that key. Problems that keep it from being read are told as `problem`, too.
certificate_report inspect_certificate(const std::string& file, const std::string& ca_file = {},
                                       const std::string& key_file = {});

}  // namespace tern::app
