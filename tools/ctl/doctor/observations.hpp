// What can be seen of a cluster from outside at one moment: routing's word, each node's own report, who takes
// connections where. Plain data: checks.hpp draws the conclusions.
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/app/http_get.hpp"

namespace tern::ctl {

/// Of /statusz; libs/app/report.hpp writes it.
struct node_report {
  struct condition {
    std::string name;
    bool ok = false;
    std::string why;
  };
  struct dependency {
    std::string name, kind, where;
    bool ok = false;
    std::string text;
    int64_t schema = -1;
  };
  struct disk {
    std::string path;
    uint64_t free_bytes = 0, size_bytes = 0;
  };
  struct certificate {
    std::string role, file, subject, fingerprint, problem;
    int64_t not_after_ms = 0;
  };
  struct link {
    std::string service, address;
    bool up = false;
    int64_t ms = 0;
    std::string why;
  };
  std::string node, version, commit, address;
  std::vector<std::string> services;
  bool live = true, ready = true, started = true, draining = false;
  std::string not_live;
  std::vector<condition> conditions;
  std::vector<dependency> dependencies;
  std::vector<disk> disks;
  std::vector<certificate> certificates;
  std::vector<link> links;
  std::map<std::string, std::string> fingerprints, options;
  int64_t now_ms = 0;
};

/// A process, by its operators' port.
struct node_seen {
  std::string name;     // as it says itself, else as configured; may be empty
  std::string address;  // where it was asked
  app::reach how = app::reach::silent;
  std::string why;
  std::optional<node_report> report;  // none: it did not answer, or is too old to have one
  bool ready = false;                 // by /readyz, for those without a report
  std::string ready_text;
  int64_t skew_ms = 0;        // its clock against ours, good to half of `round_trip_ms`
  int64_t round_trip_ms = 0;  // of the answer that told its time

  const std::string& called() const { return name.empty() ? address : name; }
};

/// Whether somebody takes connections at an address others use, as seen from here.
struct address_seen {
  std::string node;  // empty: an address of routing as it is configured
  std::string address;
  app::reach how = app::reach::silent;
  std::string why;
};

struct observations {
  std::optional<routing::v1::Status> status;
  std::string status_error;  // why there is none
  std::vector<node_seen> nodes;
  std::vector<address_seen> announced;  // of nodes routing knows as alive
  std::vector<address_seen> routing;    // as configured here
  int64_t now_ms = 0;
};

/// Of the JSON text; nothing when it is not understood.
std::optional<node_report> parse_report(const std::string& text);

}  // namespace tern::ctl
