// Every test of a command runs at every place.
#include "tests/protocol/fixture.hpp"

namespace tern::testing {

INSTANTIATE_TEST_SUITE_P(at, protocol, ::testing::ValuesIn(all_places()), place_name);

}  // namespace tern::testing
