#include "services/storage/repositories/backends.hpp"

namespace tern::storage {

size_t plain_size(std::string_view stored) { return stored.size() - std::min(stored.size(), sealed_overhead); }

result<history_page> finish_page(const history_query& query, bool cut, row_cipher& cipher, history_page page) {
  const bool full = page.rows.size() >= query.limit;
  const uint64_t looked = page.rows.empty() ? query.from_mid : page.rows.back().mid;
  if (!cipher.open_all(page.rows) && query.newest_first) return unreadable();
  size_t bytes = 0;
  bool shortened = false;
  for (size_t i = 0; i < page.rows.size(); ++i) {
    bytes += page.rows[i].body.size();
    if (i > 0 && bytes > query.max_bytes) {
      page.rows.resize(i);
      shortened = true;
      break;
    }
  }
  if (query.newest_first || !page.conversation) return page;
  if (shortened) {
    page.reached = page.rows.back().mid;
  } else {
    page.reached = cut || full ? looked : std::max(page.conversation->head, query.from_mid);
  }
  return page;
}

}  // namespace tern::storage
