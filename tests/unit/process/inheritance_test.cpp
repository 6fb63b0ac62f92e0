// What a worker inherits, as arguments and back; arguments that the supervisor never wrote are refused.
#include "process/inheritance.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TEST_CASE("arguments carry everything there and back") {
  Inheritance inheritance;
  inheritance.worker = 12;
  inheritance.control = 5;
  inheritance.shared_state = 6;
  inheritance.config = 7;
  inheritance.listeners = {{8, 9}, {10, 11}};
  const auto [worker, descriptors] = inheritance.to_arguments();
  CHECK(worker == "--worker=12");
  CHECK(descriptors == "--descriptors=5,6,7,8,9,10,11");
  CHECK(inheritance.descriptors() == std::vector<int>{5, 6, 7, 8, 9, 10, 11});
  const auto back = Inheritance::from_arguments(worker, descriptors);
  REQUIRE(back);
  CHECK(back->worker == 12);
  CHECK(back->control == 5);
  CHECK(back->shared_state == 6);
  CHECK(back->config == 7);
  CHECK(back->listeners == inheritance.listeners);
}

TEST_CASE("mailboxes are carried where there are some") {
  Inheritance inheritance;
  inheritance.worker = 2;
  inheritance.control = 5;
  inheritance.shared_state = 6;
  inheritance.config = 7;
  inheritance.listeners = {{8, 9}};
  inheritance.mailbox = 20;
  inheritance.mailboxes = {21, 22, 23};
  const auto [worker, descriptors] = inheritance.to_arguments();
  CHECK(descriptors == "--descriptors=5,6,7,8,9/20,21,22,23");
  CHECK(inheritance.descriptors() == std::vector<int>{5, 6, 7, 8, 9, 20, 21, 22, 23});
  const auto back = Inheritance::from_arguments(worker, descriptors);
  REQUIRE(back);
  CHECK(back->listeners == inheritance.listeners);
  CHECK(back->mailbox == 20);
  CHECK(back->mailboxes == inheritance.mailboxes);
}

TEST_CASE("a cache is carried where there is one, beside mailboxes and without") {
  Inheritance inheritance;
  inheritance.worker = 2;
  inheritance.control = 5;
  inheritance.shared_state = 6;
  inheritance.config = 7;
  inheritance.listeners = {{8, 9}};
  inheritance.cache = 30;
  CHECK(inheritance.to_arguments().second == "--descriptors=5,6,7,8,9+30");
  CHECK(inheritance.descriptors() == std::vector<int>{5, 6, 7, 8, 9, 30});
  inheritance.mailbox = 20;
  inheritance.mailboxes = {21, 22};
  const auto [worker, descriptors] = inheritance.to_arguments();
  CHECK(descriptors == "--descriptors=5,6,7,8,9+30/20,21,22");
  CHECK(inheritance.descriptors() == std::vector<int>{5, 6, 7, 8, 9, 30, 20, 21, 22});
  const auto back = Inheritance::from_arguments(worker, descriptors);
  REQUIRE(back);
  CHECK(back->listeners == inheritance.listeners);
  CHECK(back->cache == 30);
  CHECK(back->mailbox == 20);
  CHECK(back->mailboxes == inheritance.mailboxes);
}

TEST_CASE("anything else is refused") {
  const char* const good = "--descriptors=5,6,7,8,9";
  for (const char* worker : {"", "--worker", "--worker=", "--worker=0", "--worker=-1", "--worker=1x", "--worker=x",
                             "--worker=99999999999"}) {
    CAPTURE(worker);
    CHECK_FALSE(Inheritance::from_arguments(worker, good));
  }
  for (const char* descriptors : {"",
                                  "--descriptors",
                                  "--descriptors=",
                                  "--descriptors=5,6",
                                  "--descriptors=5,6,7,8",
                                  "--descriptors=5,6,7,8,9,",
                                  "--descriptors=,5,6",
                                  "--descriptors=5,6,-7",
                                  "--descriptors=5 6 7",
                                  "--descriptors=5,,6,7",
                                  "--descriptors=5,6,7/",
                                  "--descriptors=5,6,7/8",
                                  "--descriptors=5,6,7/8,9",
                                  "--descriptors=5,6,7/8,9,10/11",
                                  "--descriptors=/8,9,10",
                                  "--descriptors=5,6,7,8,9+",
                                  "--descriptors=5,6,7,8,9+-1",
                                  "--descriptors=5,6,7,8,9+1,2",
                                  "--descriptors=5,6,7,8,9+1+2",
                                  "--descriptors=+1",
                                  "--descriptors=5,6,7,8,9/20,21,22+1"}) {
    CAPTURE(descriptors);
    CHECK_FALSE(Inheritance::from_arguments("--worker=1", descriptors));
  }
  CHECK(Inheritance::from_arguments("--worker=1", good));
}

}  // namespace
}  // namespace dotrelay
