"""experiment/columns.py: what the CSVs hold."""

from experiment import record
from tests.rows import row


def test_the_columns_are_these_in_this_order(tmp_path):
    record.append_rows(tmp_path / "a.csv", [row()])
    header = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert header == (
        "dataset,model,optimizer,learning_rate,batch_size,augment,precision,epoch1,pixels,backend,"
        "seed,content,pruning_ratio,layer_ratios,coupled,criterion,strategy,schedule,control,epoch2,"
        "retrain_learning_rate,parameters,accuracy,pruned_accuracy,baseline_parameters,"
        "baseline_accuracy,macs,baseline_macs,baseline_seconds,retrain_seconds,finished_at,keras,"
        "backend_version,model_bytes,latency_ms,baseline_latency_ms,throughput,baseline_throughput,"
        "peak_memory_mb,machine,litert_bytes,litert_accuracy,litert_latency_ms,litert_int8_bytes,"
        "litert_int8_accuracy,litert_int8_latency_ms,onnx_bytes,onnx_accuracy,onnx_latency_ms,"
        "saved_model_bytes,saved_model_accuracy,saved_model_latency_ms,export_threads,"
        "litert_int8_io,failed_exports"
    )
