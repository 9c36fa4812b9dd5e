#!/usr/bin/env perl
# Runs a command, or numbered copies of it in parallel, as a job array of a Slurm cluster, with the command line of run.pl
# and of Kaldi's slurm.pl. Jobs.pm explains quoting and logs. All nodes must share the current folder and the logs' folder.
#
# A job that ends leaves a mark, a file <job>.<exit code>, in a hidden folder beside the log. The controller is asked
# seldom, and only about jobs that will never leave one: cancelled, out of time or memory, on a node that died. These are
# reported as lost, apart from failed ones. (The exit code of `sbatch --wait` does not distinguish them.)
use strict;
use warnings;
use Cwd            qw(getcwd);
use File::Basename qw(basename dirname);
use File::Temp     qw(tempdir);
use FindBin        ();
use lib $FindBin::RealBin;
use Jobs;
use POSIX ();

my $call = read_command_line(<<'END');
Usage: slurm.pl [options] [JOB=first:last] <log> <command> [arguments...]
e.g.:  slurm.pl --mem 4G --time 1:00:00 JOB=1:40 exp/log/x.JOB.log python3 x.py --job JOB
Runs the command, in parallel for every JOB, on a Slurm cluster, and waits; exit code 1 if any job failed or is lost.
  --mem X                       # memory of a job, as in 500M, 4G
  --time X                      # time limit of a job, as in 90 (minutes), 12:00:00, 2-0
  --gpu N                       # GPUs of a job
  --num-threads N               # threads (cores) of a job
  --max-jobs-run N (or -tc N)   # run at most N jobs at a time; default: as many as the cluster takes
  --NAME X, -x X                # any other: passed to sbatch, as in --partition long, -A account
END

# States of a job after its end. In any other state it waits, runs, or is cleaned up after.
my $ended = qr/^(?:BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|TIMEOUT)\z/;
# With these, the script of the job came to its end, and its mark may be on its way through the network file system.
my $mark_expected = qr/^(?:|COMPLETED|FAILED, NonZeroExitCode)\z/;
my ($grace, $long_grace) = (5, 30);    # seconds between an end that Slurm reports and our giving up on the mark

my $here = $ENV{PWD} // '';            # the name that users know; links and automounters may differ between machines
$here = getcwd() if !-d $here || join(' ', (stat $here)[0, 1]) ne join(' ', (stat '.')[0, 1]);
my ($array, @cluster, $folder) = ('');

# Returns the output and the exit code of a command. A ctrl-C at our terminal does not reach it.
sub output_of {
    my @command = @_;
    my $child = open my $stream, '-|';
    return ("cannot start a process: $!", 1) if !defined $child;
    if ($child == 0) {
        setpgrp 0, 0;
        delete @ENV{ grep { /^SQUEUE_/ } keys %ENV };    # defaults of the user, which may hide jobs
        open STDIN,  '<',  '/dev/null';
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec { $command[0] } @command; }
        syswrite STDOUT, "cannot run $command[0]: $!\n";
        POSIX::_exit(127);
    }
    my $output = do { local $/; <$stream> } // '';
    close $stream;
    return ($output, $? >> 8 || $? & 127);
}

sub quoted {
    my ($text) = @_;
    $text =~ s/'/'\\''/g;
    $text =~ s/\r/'\$'\\r''/g;    # sbatch takes a carriage return for a script from Windows
    return "'$text'";
}

# The script of every job of the array: the same steps as in run.pl.
sub script {
    my %value = (
        THREADS => $call->{'num-threads'},
        HERE    => quoted($here),
        FOLDER  => quoted($folder),
        map { uc $_ => quoted($call->{$_}) } qw(name log command),
    );
    my $script = <<'END';
#!/usr/bin/env bash
name=@NAME@ job=$SLURM_ARRAY_TASK_ID folder=@FOLDER@ log=@LOG@ command=@COMMAND@ newline=$'\n'
if [ -n "$name" ]; then log=${log//$name/$job} command=${command//$name/$job}; fi
# A folder that was made a moment ago may take some seconds to be seen here.
for pause in 0 1 2 4 8 15; do sleep $pause; [ ! -d "$folder" ] || break; done
[ -d "$folder" ] || { echo "job $job: $folder is gone, so nothing waits for it" >&2; exit 1; }
cd @HERE@ || exit 1
# With `sbatch --export=PATH` the rest of the environment comes from path.sh, as in Kaldi.
case ${SLURM_EXPORT_ENV:-ALL} in ALL*) ;; *) if [ -f path.sh ]; then . ./path.sh; fi ;; esac
now() { date '+%a %b %e %H:%M:%S %Z %Y'; }
printf '# %s\n# Running on %s\n# Started at %s\n#\n' "${command//$newline/$newline# }" "$(uname -n)" "$(now)" >"$log" ||
  exit 1
start=$(date +%s)
printf '(\n%s\n) </dev/null\n' "$command" | bash >>"$log" 2>&1
code=${PIPESTATUS[1]} seconds=$(($(date +%s) - start))
# A job that Slurm kills as a whole must not report an end of its own in the moment before its turn comes.
if [ "$code" -gt 128 ]; then sleep 1; fi
if [ -n "$(tail -c 1 "$log")" ]; then echo >>"$log"; fi
printf '# Accounting: time=%s threads=@THREADS@\n# Ended (code %s) at %s, elapsed time %s seconds\n' \
  "$seconds" "$code" "$(now)" "$seconds" >>"$log"
: >"$folder/$job.$code"
exit "$code"
END
    $script =~ s/\@([A-Z]+)\@/$value{$1}/g;
    return $script;
}

sub submit {
    open my $stream, '>', "$folder/script" or fail("cannot write $folder/script: $!");
    print {$stream} script();
    close $stream or fail("cannot write $folder/script: $!");
    my @options = map { [$_->[0] =~ s/^(--.*)/$1=/r, $_->[1]] } @{ $call->{options} };
    (my $name = basename($call->{log})) =~ s/\.log\z//;
    $name =~ s/[._-]?$call->{name}// if $call->{name} ne '';
    (my $output = "$folder/slurm.out") =~ s/([\\%])/\\$1/g;    # both mean something in sbatch's patterns
    my ($answer, $status) = output_of(
        'sbatch', '--job-name=' . ($name || 'job'), "--chdir=$here", "--output=$output", '--open-mode=append', '--parsable',
        $call->{'num-threads'} > 1 ? "--cpus-per-task=$call->{'num-threads'}" : (),
        $call->{gpu}               ? "--gres=gpu:$call->{gpu}"                : (),
        (map { $_->[0] =~ /=\z/ ? "$_->[0]$_->[1]" : @$_ } @options),
        "--array=$call->{first}-$call->{last}" . ($call->{'max-jobs-run'} ? "%$call->{'max-jobs-run'}" : ''),
        "$folder/script",
    );
    my ($id, $cluster) = $answer =~ /^(\d+)(?:;(\S+))?$/m;
    fail('sbatch took no job: ' . join '; ', grep { /\S/ } split /\n/, $answer) if $status || !defined $id;
    $array = $id;
    @cluster = ('-M', $cluster) if defined $cluster;    # sbatch chose one of several
    warning($_) for grep { /\S/ && !/^\Q$id\E(?:;|\z)/ } split /\n/, $answer;
    return;
}

my $caught = '';          # the signal that ended us, if any
my (%code, %lost, %gone); # job => exit code; why it will never have one; [since when, state] of one that Slurm knows ended
my $silent;

sub open_jobs { return grep { !defined $code{$_} && !defined $lost{$_} } $call->{first} .. $call->{last}; }

# State and reason that Slurm has for each job that it still knows; undef if there is no answer.
sub ask_for_states {
    my ($output, $status) = output_of('squeue', @cluster, qw(--noheader --array --states=all), "--jobs=$array",
        '--format=%K %T %r');
    if ($status && $output !~ /invalid job id/i) {
        warning("squeue does not answer, still waiting: $output") if !$silent++;
        return undef;
    }
    $silent = 0;
    my %state;
    while ($output =~ /^\s*(\d+) ([A-Z_]+) ?(.*)$/mg) { $state{$1} = [$2, $3]; }
    return \%state;
}

# A change in the folder makes a network file system look again.
sub look_for_marks {
    my ($thoroughly) = @_;
    if ($thoroughly && open my $stream, '>', "$folder/look") { close $stream; unlink "$folder/look"; }
    opendir my $directory, $folder or return;
    while (defined(my $name = readdir $directory)) { $code{$1} = $2 if $name =~ /^(\d+)\.(\d+)\z/; }
    return;
}

# A job that has ended is lost if it has no mark a while later, and Slurm has not put it back into the queue.
sub look_for_lost {
    my $state = ask_for_states() // return;
    look_for_marks(1);
    for my $job (open_jobs()) {
        my ($is, $reason) = @{ $state->{$job} // ['', ''] };
        if ($is ne '' && $is !~ $ended) { delete $gone{$job}; next; }
        $is .= ", $reason" if $is eq 'FAILED' && $reason ne '';
        $gone{$job} //= [time, ''];
        $gone{$job}[1] = $is if $is ne '';    # after some minutes Slurm forgets
        (my $since, $is) = @{ $gone{$job} };
        next if time - $since < ($is =~ $mark_expected ? $long_grace : $grace);
        $lost{$job} = $is eq '' ? 'Slurm no longer knows it' : $is;
        add_to_log(for_job($call, 'log', $job), "# Lost ($lost{$job}), noticed at " . now() . "\n");
    }
    return;
}

sub wait_for_jobs {
    my ($look_every, $ask_every, $ask_at) = (0.1, $grace, time + $grace);
    while (!$caught) {
        look_for_marks(0);
        my @open = open_jobs() or last;
        if (time >= $ask_at) {
            look_for_lost();
            $ask_every *= 2 if $ask_every < 60;
            $ask_at = time + (grep({ $gone{$_} } @open) ? $grace : $ask_every);
        }
        select undef, undef, undef, $look_every if !$caught;
        $look_every *= 1.2 if $look_every < 4;
    }
    return;
}

# Takes the jobs off the cluster, and waits (half a minute at most) until they have ended.
sub cancel {
    my ($output, $status) = output_of('scancel', @cluster, $array);
    return warning("cannot cancel the jobs: $output; do it later: scancel $array") if $status;
    for my $seconds (0.2, 0.5, 1, 2, 4, 8, 15) {
        my $state = ask_for_states();
        return if $state && !grep { $_->[0] !~ $ended } values %$state;
        select undef, undef, undef, $seconds;
    }
    return warning("jobs are still ending: squeue --jobs=$array");
}

prepare_logs($call);
my $log_folder = dirname(for_job($call, 'log', $call->{first}));
$log_folder = "$here/$log_folder" if $log_folder !~ m{^/};
$folder = tempdir('.slurm.XXXXXXXX', DIR => $log_folder, CLEANUP => 1);
for my $signal (qw(INT TERM HUP)) { $SIG{$signal} = sub { $caught = $signal; }; }
submit();
wait_for_jobs();
if ($caught) {
    cancel();
    File::Temp::cleanup();
    die_of_signal($call, $caught);
}
my %failed = map { $_ => "code $code{$_}" } grep { $code{$_} != 0 } keys %code;
report_jobs($call, 'failed', \%failed, 0);
report_jobs($call, 'lost', \%lost, 1);
if (my @lines = %lost ? last_lines("$folder/slurm.out", 5) : ()) {
    print STDERR "slurm.pl: last lines of the output of Slurm:\n", map { "  $_" } @lines;
}
exit(%failed || %lost ? 1 : 0);
