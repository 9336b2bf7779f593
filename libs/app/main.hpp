// main() of every program: options, stages of a start, signals, drain, exit codes.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "libs/app/host.hpp"
#include "libs/base/result.hpp"

namespace tern::app {

/// `--data-dir DIR` as another way to write `--set ternd.data_dir=DIR`.
struct flag_alias {
  std::string flag;   // "data-dir", without dashes
  std::string value;  // "DIR", shown by --help
  std::string key;    // an option some service or the program declares
  std::string help;
};

/// What a program consists of. Services are configured by structs their functions have captured.
struct program {
  std::string name;     // "tern-gateway"
  std::string summary;  // one line
  app::links links = app::links::grpc;
  std::vector<service_entry> services;  // started in this order, drained and stopped in reverse: the gateway last
  /// Other defaults than the declared ones: {key, value}.
  std::vector<std::pair<std::string, std::string>> defaults;
  std::vector<flag_alias> flags;
  /// Options of the program itself; may be empty.
  std::function<void(config::schema&)> declare;
  /// Runs when all sources have been read, before validation: the place to set_default() what follows from other
  /// options, e.g. secrets below a data directory. With `dry` (--print-config) nothing may be written. May be empty.
  std::function<result<void>(config::schema&, bool dry)> prepare;
  /// Runs once when everything has been started, e.g. to say where it is. May be empty.
  std::function<void(host&)> started;
};

/// The whole life of the process. Exit codes: 0 ended by a signal and drained; 1 could not start or go on; 2 the
/// configuration or command line was refused; 130 a second signal ended it at once.
int run_main(int argc, char** argv, const program& what);

}  // namespace tern::app
