#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class pullmessage_test : public session_fixture {
 protected:
  void SetUp() override {
    storage.time_ns = 1'000;
    ASSERT_TRUE(log_on(1, alice));
    for (int i = 0; i < 5; ++i) frame(1, alice, frame_type::message, text_to(bob_node, std::to_string(i)));
    settle();
    frames(1);
  }
  wire::tim_req pull(int64_t mid, int64_t limit) {
    auto req = req_of(1, bob_node);
    req.req_int = mid;
    req.req_int2 = limit;
    return req;
  }
  std::vector<int64_t> mids(const wire::tim_req& req) {
    frame(1, alice, frame_type::pullmessage, req);
    settle();
    std::vector<int64_t> out;
    for (const auto& page : frames(1, frame_type::pullmessage)) {
      for (const auto& row : list_of(page)) out.push_back(*row.mid);
    }
    return out;
  }
  void expect_error(const wire::tim_req& req, int32_t code) {
    frame(1, alice, frame_type::pullmessage, req);
    settle();
    EXPECT_EQ(error_of(1), code);
  }
  const std::string bob_node = to_node(bob);
};

TEST_F(pullmessage_test, pages_come_newest_first_and_end_at_the_mid_asked_for) {
  EXPECT_EQ(mids(pull(0, 3)), (std::vector<int64_t>{5, 4, 3}));
  EXPECT_EQ(mids(pull(2, 10)), (std::vector<int64_t>{2, 1}));
}

TEST_F(pullmessage_test, the_limit_is_capped) {
  options.pull_messages = 2;
  EXPECT_EQ(mids(pull(0, 1'000'000)), (std::vector<int64_t>{5, 4}));
}

TEST_F(pullmessage_test, a_time_bounds_the_newest_and_is_checked) {
  auto req = pull(0, 10);
  req.node2 = "1002";
  EXPECT_EQ(mids(req), (std::vector<int64_t>{2, 1}));
  for (const char* bad : {"x", "-1", "1.5", "99999999999999999999", "10 "}) {
    req.node2 = bad;
    expect_error(req, 4104);
  }
}

TEST_F(pullmessage_test, nothing_is_sent_when_there_is_nothing) {
  storage.add_account(stranger);
  const std::string node = to_node(stranger);
  auto req = pull(0, 10);
  req.node = node;
  EXPECT_TRUE(mids(req).empty());
  EXPECT_TRUE(frames(1).empty());
}

TEST_F(pullmessage_test, errors_are_those_of_the_protocol) {
  expect_error(pull(-1, 10), 4104);
  expect_error(pull(0, 0), 4104);
  expect_error(pull(0, -1), 4104);
  auto req = pull(0, 10);
  req.node = "0OIl";
  expect_error(req, 4106);
  req.node.reset();
  expect_error(req, 4104);
  const std::string own = to_node(alice);
  req.node = own;
  expect_error(req, 4105);
  req = pull(0, 10);
  req.rtype = 3;
  expect_error(req, 4104);
  req.rtype.reset();
  expect_error(req, 4104);
}

TEST_F(pullmessage_test, after_the_receipt_a_pull_shows_the_message) {
  frame(1, alice, frame_type::message, text_to(bob_node, "new"));
  auto req = pull(0, 1);
  frame(1, alice, frame_type::pullmessage, req);
  settle();
  const auto pages = frames(1, frame_type::pullmessage);
  ASSERT_EQ(pages.size(), 1U);
  EXPECT_EQ(list_of(pages[0])[0].data_string, "new");
}

}  // namespace
}  // namespace tern::session
