// CPU of this process and of a PostgreSQL server on this machine.
#pragma once

#include <string>

namespace tern::storage::bench {

/// CPU seconds of this process so far.
double own_cpu();

/// CPU seconds so far of all processes of one PostgreSQL server on this machine.
class server_meter {
 public:
  /// Anything but PostgreSQL costs nothing.
  explicit server_meter(const std::string& dsn);
  double read() const;

 private:
  long postmaster_ = 0;
};

}  // namespace tern::storage::bench
