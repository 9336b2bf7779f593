#include "services/storage/repositories/backends.hpp"

namespace tern::storage {

void finish_page(const history_query& query, bool cut, history_page& page) {
  size_t bytes = 0;
  for (size_t i = 0; i < page.rows.size(); ++i) {
    bytes += page.rows[i].body.size();
    if (i > 0 && bytes > query.max_bytes) {
      page.rows.resize(i);
      cut = true;
      break;
    }
  }
  if (query.newest_first || !page.conversation) return;
  const bool full = cut || page.rows.size() >= query.limit;
  if (!full) {
    page.reached = std::max(page.conversation->head, query.from_mid);
  } else {
    page.reached = page.rows.empty() ? query.from_mid : page.rows.back().mid;
  }
}

}  // namespace tern::storage
