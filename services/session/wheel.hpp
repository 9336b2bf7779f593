// The timers of session actors.
#pragma once

#include "libs/actor/wheel.hpp"
