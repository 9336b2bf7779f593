// A network of our own for a cluster's nodes: each has a network namespace with one address on a common bridge, and
// packets between any two of them can be dropped, refused or lost by chance, in one direction or both. Linux, root.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/testing/process.hpp"

namespace tern::chaos {

/// The calling process moves to a network namespace of its own, with nothing but a loopback device; to be called
/// before there are threads. Everything in it goes with the process. errc::unavailable with the reason where that is
/// not allowed or a tool (ip, iptables, nsenter) is missing.
result<void> leave_for_private_network();

/// Nodes get addresses 10.91.0.10 and so on; this process is 10.91.0.1. Not thread-safe.
class private_network {
 public:
  /// After leave_for_private_network().
  static result<std::unique_ptr<private_network>> make(const std::vector<std::string>& nodes);

  /// The address of a node.
  std::string host(const std::string& node) const;
  /// Names of the nodes of one service.
  std::vector<std::string> nodes(const std::string& service) const;
  /// Command that runs another one as that node.
  std::vector<std::string> prefix(const std::string& node) const;

  /// Packets from `from` do not arrive at `to`.
  result<void> cut_one_way(const std::string& from, const std::string& to);
  result<void> cut(const std::string& one, const std::string& other);
  /// The node and no other node: all its packets but those of clients and of this process.
  result<void> isolate(const std::string& node);
  /// TCP between the two is answered with resets.
  result<void> reset(const std::string& one, const std::string& other);
  /// Of each hundred packets that come from other nodes, so many are lost, at every node.
  result<void> lose(int percent);
  result<void> heal();

 private:
  struct place {
    std::string host;
    testing::process holder;  // its namespace lives as long as this process
  };

  result<void> join(const std::string& node, size_t number);
  result<void> rule(const std::string& node, const std::vector<std::string>& arguments);

  std::map<std::string, place> places_;
};

}  // namespace tern::chaos
