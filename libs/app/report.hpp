// What a process says of itself at /statusz: one JSON object for `ternctl doctor` and whoever looks for what is
// broken.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tern::rpc {
class network;
}

namespace tern::app {

class health_state;

/// What only the program knows; all of it may be empty.
struct report_sources {
  std::function<std::string()> configuration;       // the options in effect, without secrets
  std::map<std::string, std::string> fingerprints;  // of secrets that nodes have to share: {name, fingerprint()}
  std::map<std::string, std::string> options;       // a few that others have to know: {key, value}
  std::string client_certificate, client_key;       // TLS towards clients
};

/// Eight hex digits that are equal for equal secrets and of no use to find the secret.
std::string fingerprint(const std::string& secret);

/// Where the parts of a report come from. All of it outlives the reporter.
struct report_subject {
  std::string node;
  uint64_t incarnation = 0;
  const std::string* address = nullptr;                // announced to others
  const std::vector<std::string>* services = nullptr;  // complete once health says started
  const health_state* health = nullptr;
  const rpc::network* network = nullptr;
  std::string tls_ca_file, tls_certificate_file, tls_key_file;
  const report_sources* sources = nullptr;
};

/// Makes reports on a thread of its own, because probes wait for what may be broken. Thread-safe.
class reporter {
 public:
  explicit reporter(report_subject about);
  ~reporter() { stop(); }
  /// `then` gets a report that was made after this call began, from the reporter's thread; an empty text once
  /// stopped.
  void ask(std::function<void(std::string)> then);
  void stop();

 private:
  void run();

  const report_subject about_;
  std::mutex lock_;
  std::condition_variable wake_;
  std::vector<std::function<void(std::string)>> waiting_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace tern::app
