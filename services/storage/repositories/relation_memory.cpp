#include "services/storage/repositories/backends.hpp"

namespace tern::storage {
namespace {

constexpr size_t most_known = 200'000;  // about 16 MB

}  // namespace

void relation_memory::clear() {
  const std::lock_guard guard(mutex_);
  known_.clear();
}

void relation_memory::remember(const conversation_row& row) {
  const std::lock_guard guard(mutex_);
  if (known_.size() >= most_known) known_.clear();
  known_[row.id] = {row.relation_version, row.a_bits, row.b_bits};
}

std::vector<conversation_row> relation_memory::changed(const std::vector<conversation_row>& rows) const {
  std::vector<conversation_row> found;
  const std::lock_guard guard(mutex_);
  for (const auto& row : rows) {
    const auto known = known_.find(row.id);
    if (known == known_.end() || known->second != relation{row.relation_version, row.a_bits, row.b_bits}) {
      found.push_back(row);
    }
  }
  return found;
}

}  // namespace tern::storage
