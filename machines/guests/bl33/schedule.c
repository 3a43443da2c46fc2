#include "client.h"

void schedule_tests(void)
{
}
