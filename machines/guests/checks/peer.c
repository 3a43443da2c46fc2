#include "check.h"

#include "gic.h"
#include "machine.h"
#include "psci.h"

#define STOP ((peer_job *)1)
#define WAKE_SGI 15

volatile uint64_t peer_context;
volatile bool peer_up;
static peer_job *volatile job;
static volatile uint64_t job_argument;
static volatile uint32_t meetings[2];

/* The barriers order the work's data before the work, and the work before the event. */
static void set_job(peer_job *work)
{
    DSB();
    job = work;
    DSB();
    gic_send_sgi(1, WAKE_SGI);
}

/* Sleep rather than spin: a WFE loop would cost the machine as much as work does. */
static void wait_for_job(void)
{
    irq_disable();
    if (!job)
        WFI();
    irq_enable();
}

void secondary_main(uint64_t context)
{
    gic_init_cpu();
    for (unsigned sgi = 0; sgi < 16; sgi++)
        gic_enable(sgi, NULL);
    peer_context = context;
    peer_up = true;
    irq_enable();
    for (peer_job *next; (next = job) != STOP;) {
        if (!next) {
            wait_for_job();
            continue;
        }
        next(job_argument);
        DSB();
        job = NULL;
    }
    irq_disable();
    peer_up = false;
    job = NULL;
    DSB();
}

bool peer_present(void)
{
    return machine.cpus > 1;
}

int64_t peer_start(uint64_t context)
{
    int64_t result = psci_cpu_on(1, context);

    if (result == PSCI_SUCCESS)
        (void)eventually(peer_up);
    return result;
}

void peer_stop(void)
{
    set_job(STOP);
    (void)eventually(!peer_up && psci_affinity_info(1) == PSCI_OFF);
}

void peer_begin(peer_job *work, uint64_t argument)
{
    job_argument = argument;
    set_job(work);
}

bool peer_finish(void)
{
    bool done = eventually(!job);

    DSB();
    return done;
}

bool peer_run(peer_job *work, uint64_t argument)
{
    peer_begin(work, argument);
    return peer_finish();
}

void peer_rendezvous(void)
{
    unsigned me = cpu_id();
    uint32_t round = ++meetings[me];

    DSB();
    (void)eventually(meetings[!me] >= round);
}
