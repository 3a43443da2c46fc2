#include "client.h"

void hostile_tests(void)
{
}
