#include "services/group/config.hpp"

#include "libs/config/schema.hpp"

namespace tern::group {

void declare(config::schema& into, group_config& o) {
  into.add("group.max_batch_requests", o.max_batch_requests,
           "room commands taken from one hand-over of a link; further ones of it are answered 5104", {1, 1'000'000});
}

}  // namespace tern::group
