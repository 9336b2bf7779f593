// Every test of a command runs at every place.
#include "tests/protocol/fixture.hpp"

namespace tern::testing {

INSTANTIATE_TEST_SUITE_P(ternd, protocol, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, protocol, ::testing::ValuesIn(encodings_at(server_kind::cluster)), place_name);

}  // namespace tern::testing
