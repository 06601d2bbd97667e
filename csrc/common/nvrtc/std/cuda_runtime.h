// NVRTC has the runtime's device side built in.
#pragma once
