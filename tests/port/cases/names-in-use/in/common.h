#pragma once
using namespace at;
