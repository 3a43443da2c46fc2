#include "client.h"

void memory_tests(void)
{
}
