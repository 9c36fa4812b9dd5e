#!/usr/bin/env perl
# Runs a command, or several numbered copies of it in parallel, as jobs of a Slurm cluster, each with its output in a
# log file. Same command line as run.pl and as Kaldi's slurm.pl:
#
#   slurm.pl [options] [JOB=1:n] <log> <command> [arguments...]
#   slurm.pl --mem 4G --time 1:00:00 JOB=1:40 exp/log/x.JOB.log python3 x.py --job JOB
#
# Quoting, logs, --pick: see Jobs.pm. The current folder and the logs must be in a file system that all nodes share.
#
# Options become sbatch's by conf/slurm.conf or --config, in Kaldi's syntax; without such a file by $default_config:
#
#   command sbatch --account=me          how to submit
#   option mem=* --mem=$0                what --mem X becomes, with X in the place of $0; nothing, if nothing follows
#   option gpu=0                         what --gpu 0 becomes; one value goes before *
#   default gpu=0                        the value of an option that is not given
#
# --num-threads is num_threads there, and so on. Words are split as a shell does it, but nothing else is expanded.
#
# A call is one job array (several where it is larger than the cluster's MaxArraySize). A job that ends leaves a mark,
# a file <job>.<exit code>, in a hidden folder beside the log, and that folder is what is looked at while waiting. The
# controller is asked seldom, for all jobs at once, and only for those that will never leave a mark: cancelled, out of
# time or of memory, on a node that died. These are lost, which is told apart from failed. Accounting is not needed.
#
# Why not one `sbatch --wait --array`: its exit code is the highest of all tasks, so it does not say which tasks failed,
# nor whether one failed or got lost; a node that died and a command that exited with 1 are both 1 (sbatch(1), --wait).
# Only accounting could tell, which many clusters do not have. What it makes of a task that is put back into the queue, or
# of a controller that restarts, is not documented.
use strict;
use warnings;
use Cwd            qw(getcwd);
use File::Basename qw(basename dirname);
use File::Temp     qw(tempdir);
use FindBin        ();
use lib $FindBin::RealBin;
use Jobs;
use POSIX            ();
use Text::ParseWords qw(shellwords);

my $usage = <<'END';
Usage: slurm.pl [options] [JOB=first:last] <log> <command> [arguments...]
e.g.:  slurm.pl --mem 4G JOB=1:40 exp/log/x.JOB.log python3 x.py --job JOB
Runs the command, in parallel for every JOB, on a Slurm cluster, and waits; exit code 1 if any job failed or got lost.
Options:
  --mem X                              # memory of a job, as in 500M, 4G
  --time X                             # time limit of a job, as in 90 (minutes), 12:00:00, 2-0
  --gpu N                              # GPUs of a job
  --num-threads N                      # threads (cores) of a job
  --max-jobs-run N (or -tc N)          # run at most N jobs at a time; default: as many as the cluster takes
  --pick all|failed|incomplete         # run all jobs (default), those whose log tells of no success, or of no end
  --config FILE                        # what options become for sbatch (default conf/slurm.conf, if it is there)
  --NAME X                             # any other that the file describes: "option NAME=* --sbatch-option=$0"
  -p X, any other single letter        # passed to sbatch as it is
END

my $default_config = <<'END';
command sbatch
option mem=* --mem=$0
option mem=0
option time=* --time=$0
option num_threads=* --cpus-per-task=$0
option gpu=* --gres=gpu:$0
option gpu=0
END

# What a job is after its end. In any other state it waits, runs, or is cleaned up after.
my $ended_state = qr/^(?:BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|TIMEOUT)\z/;
# With these the job's script came to its own end, and its mark may be on its way through the network file system.
my $mark_expected = qr/^(?:|COMPLETED|FAILED, NonZeroExitCode)\z/;
my ($grace, $long_grace) = (5, 30);    # seconds from Slurm's word that a job has ended to our giving up on its mark
my $hopeless =
  qr/held|BadConstraints|Partition(?:Down|Inactive|NodeLimit|TimeLimit)|Never|Invalid|NotAvail/i;

# ---- options

my %given;          # option, with _ for -, => value
my @given_order;
my @for_sbatch;     # options passed as they are

my $call = read_command_line(
    $usage,
    sub {
        my ($name, $value) = @_;
        if ($name =~ /^--([A-Za-z][\w-]*)\z/) {
            (my $option = $1) =~ tr/-/_/;
            push @given_order, $option if !exists $given{$option};
            $given{$option} = $value;
        } elsif ($name =~ /^-[A-Za-z]\z/) {
            push @for_sbatch, $name, $value;
        } else {
            fail("unknown option $name; expected --name, or one letter that sbatch knows");
        }
        return;
    }
);

sub config_lines {
    my $file = delete $given{config};
    @given_order = grep { $_ ne 'config' } @given_order;
    return ('the default configuration', split /\n/, $default_config) if !defined $file && !-e 'conf/slurm.conf';
    $file //= 'conf/slurm.conf';
    open my $stream, '<', $file or fail("cannot read $file: $!");
    my @lines = <$stream>;
    close $stream;
    return ($file, @lines);
}

# The words of a config line, with the option's value in the place of $0.
sub config_words {
    my ($where, $text, $value) = @_;
    my @words = shellwords($text);
    fail("$where: cannot split into words: $text; expected quotes in pairs") if !@words && $text =~ /\S/;
    if (defined $value) { s/\$0/$value/g for @words; }
    return @words;
}

# sbatch with its options, from the config and the options given.
sub sbatch_command {
    my ($file, @lines) = config_lines();
    my (@command, %meaning);    # {option}{value or *} => [place, text]
    my $number = 0;
    for (@lines) {
        my $where = "$file:" . ++$number;
        s/\s*(?:#.*)?$//s;
        s/^\s+//;
        if ($_ eq '') {
            next;
        } elsif (/^command\s+(.+)/) {
            @command = config_words($where, $1);
        } elsif (/^option\s+([^=\s]+)=(\S+)\s*(.*)/) {
            $meaning{$1}{$2} = [$where, $3];
        } elsif (/^default\s+([^=\s]+)=(\S+)/) {
            push @given_order, $1 if !exists $given{$1};
            $given{$1} //= $2;
        } else {
            fail("$where: cannot understand '$_'; expected command ..., option name=value ... or default name=value");
        }
    }
    fail("$file: no line that says how to submit; expected command sbatch ...") if !@command;
    for my $option (@given_order) {
        my $value = $given{$option};
        if ($option eq 'max_jobs_run') {    # from a default line; the option itself is read with the others of run.pl
            fail("$file: bad default of $option; expected a whole number from 1, got '$value'")
              if $value !~ /^[1-9]\d*\z/;
            $call->{'max-jobs-run'} ||= $value;
            next;
        }
        my $values  = $meaning{$option} // {};
        my $meaning = $values->{$value} // $values->{'*'};
        if (!$meaning) {
            (my $name = $option) =~ tr/_/-/;
            fail("unknown option --$name" . (%$values ? " $value" : '')
                  . "; expected one that $file has a line for: option $option=* ...");
        }
        push @command, config_words(@$meaning, $value);
    }
    return (@command, @for_sbatch);
}

# ---- Slurm's commands

my @cluster;        # -M and the cluster's name, where sbatch chose one of several
my @arrays;         # ids of the submitted arrays
my %offset;         # id of an array => number of a job in it less its task number
my $folder;         # where marks are left

# What a command printed, and its exit code. A ctrl-C at our terminal does not reach it.
sub output_of {
    my @command = @_;
    my $child = open my $stream, '-|';
    return ("cannot start a process: $!", 1) if !defined $child;
    if ($child == 0) {
        setpgrp 0, 0;
        # The user's defaults for looking at the queue would hide jobs from us.
        delete @ENV{ grep { /^(?:SQUEUE|SACCT)_/ } keys %ENV };
        open STDIN,  '<',  '/dev/null';
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec { $command[0] } @command; }
        $| = 1;
        print STDOUT "cannot run $command[0]: $!\n";
        POSIX::_exit(127);
    }
    my $output = do { local $/; <$stream> } // '';
    close $stream;
    return ($output, $? >> 8 || $? & 127);
}

sub first_line { return $_[0] =~ /(\S.*)/ ? $1 : 'it says nothing'; }

# State and reason that Slurm has for every job it still knows; undef if there is no answer.
my $silent;
sub ask_for_states {
    my ($output, $status) = output_of('squeue', @cluster, '--noheader', '--array', '--states=all',
        '--jobs=' . join(',', @arrays), '--format=%F %K %T %r');
    if ($status && $output !~ /invalid job id/i) {
        warning('squeue does not answer, still waiting: ' . first_line($output)) if !$silent++;
        return undef;
    }
    $silent = 0;
    my %state;
    while ($output =~ /^\s*(\d+) (\d+) ([A-Z_]+) ?(.*)$/mg) {
        $state{ $2 + $offset{$1} } = [$3, $4] if exists $offset{$1};
    }
    return \%state;
}

# Ended states that accounting still knows where the queue no longer does; nothing without accounting.
sub ask_accounting {
    my ($output, $status) = output_of('sacct', @cluster, '--noheader', '--parsable2', '--allocations', '--array',
        '--jobs=' . join(',', @arrays), '--format=JobID,State');
    my %state;
    if (!$status) {
        while ($output =~ /^(\d+)_(\d+)\|([A-Z_]+)/mg) { $state{ $2 + $offset{$1} } = $3 if exists $offset{$1}; }
    }
    return \%state;
}

# ---- submitting

sub quoted {
    my ($text) = @_;
    $text =~ s/'/'\\''/g;
    $text =~ s/\r/'\$'\\r''/g;    # sbatch takes a carriage return for a script from Windows
    return "'$text'";
}

# What every task of an array does: the same as run.pl does for a job.
sub script_for {
    my ($offset) = @_;
    my %value = (
        NAME    => quoted($call->{name}),
        OFFSET  => $offset,
        FOLDER  => quoted($folder),
        LOG     => quoted($call->{log}),
        COMMAND => quoted($call->{command}),
        THREADS => $call->{'num-threads'},
        HERE    => quoted(current_folder()),
    );
    my $script = <<'END';
#!/usr/bin/env bash
name=@NAME@
job=$((SLURM_ARRAY_TASK_ID + @OFFSET@))
folder=@FOLDER@
log=@LOG@
command=@COMMAND@
newline=$'\n'
if [ -n "$name" ]; then
  log=${log//$name/$job}
  command=${command//$name/$job}
fi

# A folder that was made a moment ago may take some seconds to be seen here.
for pause in 0 1 2 4 8 15; do
  sleep $pause
  [ -d "$folder" ] && break
done
[ -d "$folder" ] || { echo "job $job: nobody waits for it, $folder is gone" >&2; exit 1; }
cd @HERE@ || exit 1
# With `sbatch --export=PATH` the rest of the environment comes from path.sh, as in Kaldi.
case ${SLURM_EXPORT_ENV:-ALL} in
  ALL*) ;;
  *) if [ -f path.sh ]; then . ./path.sh; fi ;;
esac

now() { date '+%a %b %e %H:%M:%S %Z %Y'; }
printf '# %s\n# Running on %s\n# Started at %s\n#\n' "${command//$newline/$newline# }" "$(uname -n)" "$(now)" >"$log" ||
  exit 1
start=$(date +%s)
printf '(\n%s\n) </dev/null\n' "$command" | bash >>"$log" 2>&1
code=${PIPESTATUS[1]}
seconds=$(($(date +%s) - start))
# A job that Slurm kills as a whole must not get to tell of an end of its own in the moment before its turn comes.
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

# The current folder by the name that the user has for it: what links and automounters lead to may differ by machine.
sub current_folder {
    my $named = $ENV{PWD} // '';
    my ($device, $inode) = stat '.';
    my @same = stat $named;
    return $named if $named =~ m{^/} && @same && $same[0] == $device && $same[1] == $inode;
    return getcwd();
}

sub absolute {
    my ($path) = @_;
    return $path =~ m{^/} ? $path : current_folder() . "/$path";
}

# Numbers in sbatch's form: 1-3,7
sub ranges {
    my @ranges;
    for my $number (@_) {
        if (@ranges && $ranges[-1][1] == $number - 1) { $ranges[-1][1] = $number; }
        else                                          { push @ranges, [$number, $number]; }
    }
    return join ',', map { $_->[0] == $_->[1] ? $_->[0] : "$_->[0]-$_->[1]" } @ranges;
}

sub largest_task_number {
    my ($output, $status) = output_of('scontrol', 'show', 'config');
    fail('Slurm does not answer: ' . first_line($output)) if $status;
    my ($size) = $output =~ /^MaxArraySize\s*=\s*(\d+)/m;
    $size //= 1001;
    fail("this cluster takes no job arrays (MaxArraySize=$size)") if $size < 2;
    return $size - 1;
}

# Submits one array of jobs; its tasks' numbers are those of the jobs less $offset.
sub submit {
    my ($sbatch, $offset, @jobs) = @_;
    my $file = "$folder/script.$offset";
    open my $stream, '>', $file or fail("cannot write $file: $!");
    print {$stream} script_for($offset);
    close $stream or fail("cannot write $file: $!");

    (my $name = basename($call->{log})) =~ s/\.log\z//;
    $name =~ s/[._-]?$call->{name}// if $call->{name} ne '';
    (my $output = "$folder/slurm.out") =~ s/([\\%])/\\$1/g;    # both mean something in sbatch's patterns
    my $limit = $call->{'max-jobs-run'};
    my ($command, @options) = @$sbatch;
    my ($said, $status) = output_of(
        $command, '--job-name=' . ($name || 'job'), '--chdir=' . current_folder(),
        "--output=$output", '--open-mode=append', @options,
        '--parsable',
        '--array=' . ranges(map { $_ - $offset } @jobs) . ($limit ? "%$limit" : ''),
        # Each array has a limit of its own, so that several have to come one after another.
        $limit && @arrays ? "--dependency=afterany:$arrays[-1]" : (),
        $file,
    );
    my ($id, $cluster) = $said =~ /^(\d+)(?:;(\S+))?$/m;
    if ($status || !defined $id) {
        cancel();
        fail("sbatch took no job: " . join '; ', grep { /\S/ } split /\n/, $said);
    }
    @cluster = ('-M', $cluster) if defined $cluster;
    push @arrays, $id;
    $offset{$id} = $offset;
    $said =~ s/^\Q$id\E(?:;\S+)?\n?//m;
    warning($_) for grep { /\S/ } split /\n/, $said;
    return;
}

# ---- waiting

my $caught = '';    # the signal that ended us, if any
my (%code, %lost);  # of every job that has ended: its exit code, or why it never will
my %gone;           # of a job that has ended for Slurm: [since when, its state]
my %told;           # jobs that a warning was given for

sub pause {
    my ($seconds) = @_;
    select undef, undef, undef, $seconds if !$caught;
    return;
}

sub open_jobs { return grep { !defined $code{$_} && !defined $lost{$_} } $call->{first} .. $call->{last}; }

# Looks which jobs have left a mark. A change in the folder makes a network file system look again, too.
sub look_for_marks {
    my ($thoroughly) = @_;
    if ($thoroughly && open my $stream, '>', "$folder/look") { close $stream; unlink "$folder/look"; }
    opendir my $directory, $folder or return;
    while (defined(my $name = readdir $directory)) {
        $code{$1} = $2 if $name =~ /^(\d+)\.(\d+)\z/;
    }
    closedir $directory;
    return;
}

# Asks the controller about the jobs without a mark. One that has ended is lost if it has no mark a while later, and
# Slurm, asked again, has not put it back into the queue.
sub look_for_lost {
    my $state = ask_for_states() // return;
    look_for_marks(1);
    my $accounted;
    for my $job (open_jobs()) {
        my ($is, $reason) = @{ $state->{$job} // ['', ''] };
        if ($is ne '' && $is !~ $ended_state) {
            delete $gone{$job};
            warning("job $job waits in the queue: $reason") if $reason =~ $hopeless && !$told{$job}++;
            next;
        }
        if ($is eq '') {    # after some minutes Slurm forgets
            $accounted //= ask_accounting();
            $is = $accounted->{$job} // '';
        }
        $is .= ", $reason" if $is eq 'FAILED' && $reason ne '';
        $gone{$job} //= [time, ''];
        $gone{$job}[1] = $is if $is ne '';
        (my $since, $is) = @{ $gone{$job} };
        next if time - $since < ($is =~ $mark_expected ? $long_grace : $grace);
        my $log = for_job($call, 'log', $job);
        my $code = $is =~ $mark_expected ? code_in_log($log) : undef;
        if (defined $code) {
            $code{$job} = $code;    # it has ended, only the mark could not be made
        } else {
            $lost{$job} = $is eq '' ? 'Slurm no longer knows it' : $is;
            my $newline = ends_with_newline($log) ? '' : "\n";
            add_to_log($log, "$newline# Lost ($lost{$job}), noticed at " . now() . "\n");
        }
    }
    return;
}

sub wait_for_jobs {
    my $look_every = 0.1;
    my $ask_every  = $grace;
    my $ask_at     = time + $ask_every;
    while (!$caught) {
        look_for_marks(0);
        last if !open_jobs();
        if (time >= $ask_at) {
            look_for_lost();
            $ask_every *= 2 if $ask_every < 60;
            $ask_at = time + (grep({ !defined $code{$_} && !defined $lost{$_} } keys %gone) ? $grace : $ask_every);
        }
        pause($look_every);
        $look_every *= 1.2 if $look_every < 4;
    }
    return;
}

# Takes our jobs off the cluster, and waits (half a minute at most) until they have ended.
sub cancel {
    return if !@arrays;
    my ($output, $status) = output_of('scancel', @cluster, @arrays);
    if ($status) {
        warning('cannot cancel the jobs: ' . first_line($output) . "; do it later: scancel @arrays");
        return;
    }
    for my $seconds (0.2, 0.5, 1, 2, 4, 8, 15) {
        my $state = ask_for_states();
        return if $state && !grep { $_->[0] !~ $ended_state } values %$state;
        select undef, undef, undef, $seconds;
    }
    warning("jobs are still ending: squeue --jobs=" . join ',', @arrays);
    return;
}

# ---- all together

my @sbatch = sbatch_command();
%code = prepare_logs($call);
my @todo = open_jobs();
if (@todo) {
    my $largest = largest_task_number();
    $folder = tempdir('.slurm.XXXXXXXX', DIR => absolute(dirname(for_job($call, 'log', $todo[0]))), CLEANUP => 1);
    for my $signal (qw(INT TERM HUP)) { $SIG{$signal} = sub { $caught = $signal; }; }
    while (@todo && !$caught) {
        my $offset = int(($todo[0] - 1) / $largest) * $largest;
        my @jobs = grep { $_ <= $offset + $largest } @todo;
        splice @todo, 0, scalar @jobs;
        submit(\@sbatch, $offset, @jobs);
    }
    wait_for_jobs();
}
if ($caught) {
    cancel();
    File::Temp::cleanup();
    die_of_signal($call, $caught);
}

my %failed = map { $_ => "code $code{$_}" } grep { $code{$_} != 0 } keys %code;
if (@arrays && grep { $_ eq 'code 137' } values %failed) {
    # Killed: Slurm may know that this was for memory.
    my $state = ask_for_states() // {};
    for my $job (grep { ($state->{$_} // [''])->[0] eq 'OUT_OF_MEMORY' } keys %failed) {
        $failed{$job} .= ', OUT_OF_MEMORY';
    }
}
report_jobs($call, 'failed', \%failed, 0);
report_jobs($call, 'lost', \%lost, 1);
if (%lost) {
    my @said = last_lines("$folder/slurm.out", 5);
    show_lines('what Slurm wrote', @said) if @said;
}
exit(%failed || %lost ? 1 : 0);
