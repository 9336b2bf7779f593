// A shard's writer engine with as many requests waiting as it takes in one commit, and its deliveries confirmed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/storage/logic/writer_engine.hpp"

namespace tern::storage::bench {

/// How an engine_load goes about it.
struct load_manner {
  bool look = false;  // keys are looked up before each commit, as if senders repeated themselves
  bool two = false;   // twice as many wait, for two commits at a time
};

class engine_load {
 public:
  /// `requests` per commit, over so many conversations. Migrates and acquires the shard.
  static result<std::unique_ptr<engine_load>> open(const std::string& dsn, size_t requests, size_t conversations,
                                                   size_t body, load_manner how = {});
  /// One round; how many messages it stored.
  result<size_t> commit();
  uint64_t statements() const { return engine_->statements(); }
  uint64_t messages() const { return messages_; }

 private:
  engine_load(size_t waiting, size_t conversations, size_t body)
      : requests_(waiting), conversations_(conversations), body_(body, 'x') {}
  write_request next();

  const size_t requests_, conversations_;
  const std::string body_;
  std::unique_ptr<store> store_;
  std::unique_ptr<writer_engine> engine_;
  std::shared_ptr<reply_sink> nobody_;
  uint64_t count_ = 0, messages_ = 0;
};

}  // namespace tern::storage::bench
